package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// runbooks are the procedures that alerts and the doctor name. Each is run as it is written.
var runbooks = []string{
	"certificate-expiry", "database-connection", "desk-errors", "high-queue-depth", "housekeeping", "metrics-absent", "model-errors", "model-retirement",
	"restore", "secret-rotation", "tenant-onboarding", "unsettled-notes", "webhook-not-received", "worker-failures",
}

// runbookBlock finds commands. All of them exit 0 on a system that is well.
var runbookBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

func readRunbook(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "docs", "runbooks", name+".md"))
	require.NoError(t, err)
	return string(raw)
}

// runbookTools are an operator's programs. A machine with Go alone may lack them, and the product does not need them; where CI
// runs they are installed.
var runbookTools = []string{"bash", "curl", "openssl", "pg_dump", "pg_restore", "createdb"}

func TestTheCommandsOfEveryRunbookWork(t *testing.T) {
	t.Parallel()
	for _, tool := range runbookTools {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skipf("the runbooks' commands need %s, which this machine does not have; CI has it", tool)
		}
	}
	for _, name := range runbooks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := readRunbook(t, name)
			blocks := runbookBlock.FindAllStringSubmatch(text, -1)
			require.NotEmpty(t, blocks)
			scene := newRunbookScene(t)
			for _, block := range blocks {
				scene.run(t, block[1])
			}
		})
	}
}

// runbookScene is a system with one good and one failed run of the tenant acme, and a shell beside it.
type runbookScene struct {
	dir      string
	environ  []string
	examples *strings.Replacer
}

func newRunbookScene(t *testing.T) *runbookScene {
	t.Helper()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	const key = "0123456789ABCDEF"
	acme := h.tenant("acme", h.newDesk(servicedesk.Options{APIKey: key}), nil)
	acme.note(acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home"}))
	require.Equal(t, 202, acme.send(acme.body("no-such-ticket")).status)
	acme.settled()
	failed := scan[string](h, `SELECT id::text FROM enhancement_history WHERE status = 'failed'`)
	spare := h.newDesk(servicedesk.Options{APIKey: key})

	s := &runbookScene{dir: t.TempDir()}
	for file, content := range map[string]string{
		"desk-key.txt":    key + "\n",
		"tickets.csv":     "ticket_id,subject,description,resolution,resolved_at,priority,tags\n1,VPN 809,No VPN,Opened the ports,2026-01-31T09:30:00Z,high,vpn\n",
		"inventory.csv":   "ip,hostname,role,location\n10.1.2.3,vpn01,vpn,Hall 1\n",
		"articles/vpn.md": "# VPN error 809\n\nOpen UDP 500 and 4500.\n",
	} {
		path := filepath.Join(s.dir, filepath.FromSlash(file))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	program, err := binary()
	require.NoError(t, err)
	restored := scan[string](h, `SELECT current_database()`) + "_restored"
	t.Cleanup(func() { scanAll[int](h, `DROP DATABASE IF EXISTS `+restored) })
	s.environ = append(append(os.Environ(), h.environ...),
		"PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "NO_PROXY=*", "no_proxy=*",
		envPrefix+"MIGRATION_DATABASE_URL="+h.db.OwnerURL, "BACKUP_DATABASE_URL="+h.db.AdminURL,
		"RESTORED_DATABASE_URL="+strings.Replace(h.db.AdminURL, "/"+strings.TrimSuffix(restored, "_restored"), "/"+restored, 1))
	s.examples = strings.NewReplacer("ENHANCEMENT_ID", failed, "http://localhost:8081", h.opsURL(), "https://aiagents.example", h.publicURL(),
		"https://desk.example:8443", spare.url, "aiagents_restored", restored)
	return s
}

func (s *runbookScene) run(t *testing.T, commands string) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", s.examples.Replace(commands))
	shell.Dir, shell.Env = s.dir, s.environ
	var out bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &out
	err := shell.Run()
	require.NotNil(t, shell.ProcessState, "the runbooks need bash, curl, openssl and Postgres's client programs: %v", err)
	require.Zero(t, shell.ProcessState.ExitCode(), "%s\n%s", commands, out.String())
}

func TestRunbooksNameOnlyWhatExists(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	metrics := append(describedMetrics(h.collectors()), "aiagents_build_info")
	settings := variableNames(&h.cfg)
	files, err := filepath.Glob("../docs/runbooks/*.md")
	require.NoError(t, err)
	require.Len(t, files, len(runbooks))
	for _, name := range runbooks {
		text := readRunbook(t, name)
		require.Regexp(t, `(?s)^# [^\n]+\n\n## Meaning\n.*\n## Impact\n.*\n## Diagnosis\n.*\n## Mitigation\n`, text, name)
		for _, metric := range regexp.MustCompile(`\baiagents_[a-z_]+[a-z]\b`).FindAllString(runbookBlock.ReplaceAllString(text, ""), -1) {
			require.Contains(t, metrics, metric, name)
		}
		for _, setting := range regexp.MustCompile(`AI_AGENTS_[A-Z_]+`).FindAllString(text, -1) {
			require.True(t, slices.Contains(sortedValues(settings), setting), "%s names %s", name, setting)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#]+\.md)\)`).FindAllStringSubmatch(text, -1) {
			require.FileExists(t, filepath.Join("../docs/runbooks", link[1]), name)
		}
	}
}

func describedMetrics(all []prometheus.Collector) []string {
	var names []string
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for _, c := range all {
		ch := make(chan *prometheus.Desc, 100)
		c.Describe(ch)
		close(ch)
		for d := range ch {
			names = append(names, name.FindStringSubmatch(d.String())[1])
		}
	}
	return names
}

func sortedValues(m map[string]string) []string {
	var values []string
	for _, key := range sortedKeys(m) {
		values = append(values, m[key])
	}
	return values
}

// The restore runbook disables tenants before a worker starts, so that what the backup had pending writes no second note.
func TestADisabledTenantsPendingRunsEndWithoutANote(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	acme := h.tenant("acme", nil, nil)
	id := acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home"})
	code, _, errOut := h.cli("", "tenant", "disable", "acme")
	require.Zero(t, code, errOut)
	newHarness(t, withRole("work"), withDatabase(h))
	acme.settled()
	require.Equal(t, "failed", scan[string](h, `SELECT status FROM enhancement_history`))
	require.Empty(t, acme.desk.Notes(id))
	code, _, errOut = h.cli("", "tenant", "enable", "acme")
	require.Zero(t, code, errOut)
	code, _, errOut = h.cli("", "enhancement", "retry", scan[string](h, `SELECT id::text FROM enhancement_history`), "--tenant", "acme")
	require.Zero(t, code, errOut)
	acme.note(id)
	acme.settled()
	require.Len(t, acme.desk.Notes(id), 1)
}
