package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"aiagents/internal/harness"
)

// statement is one that the product sent, as the server's log has it.
type statement struct {
	sql    string
	params []string // as text; nil stands for NULL
	null   []bool
}

// logLine is what a line of Postgres' JSON log says, as far as it matters here.
type logLine struct {
	Session string `json:"session_id"`
	Message string `json:"message"`
	Detail  string `json:"detail"`
}

// recording is one webhook and the statements that it took.
type recording struct {
	acceptance
	statements []statement
}

// recordIntake has the server log what the product does for a webhook, and returns the statements from begin to commit. They
// are the product's own, so that the limit can never be that of other statements. Of several transactions it takes a
// shortest one: now and then the queue's client adds a notification, and the limit must not be the lower for it.
func (s *stage) recordIntake(ctx context.Context, b *build, database string) (recording, error) {
	var r recording
	if _, err := s.admin.Exec(ctx, "ALTER DATABASE "+database+" SET log_statement = 'all'"); err != nil {
		return r, fmt.Errorf("log statements: %w", err)
	}
	serve, err := s.startRole(ctx, b, "serve", database, unlimited...)
	if err != nil {
		return r, err
	}
	g := &generator{stage: s, target: serve.addr}
	sent, err := g.closedCount(ctx, 1, 30)
	if err != nil {
		return r, err
	}
	if err := s.stopRoles(); err != nil {
		return r, err
	}
	if _, err := s.admin.Exec(ctx, "ALTER DATABASE "+database+" RESET log_statement"); err != nil {
		return r, fmt.Errorf("log statements: %w", err)
	}
	if len(sent.accepted) < 30 {
		return r, fmt.Errorf("not every webhook was accepted: %v", sent.statuses)
	}
	byTicket := map[string]acceptance{}
	for _, a := range sent.accepted[10:] { // the first ones fill caches
		byTicket[ticketID(a.ticket)] = a
	}
	err = harness.WaitFor(ctx, 10*time.Second, "the server's log of the webhooks", func() bool {
		var found []recording
		found, err = s.loggedTransactions(byTicket)
		for _, f := range found {
			if r.statements == nil || len(f.statements) < len(r.statements) {
				r = f
			}
		}
		return err != nil || len(found) == len(byTicket)
	})
	return r, err
}

// loggedTransactions finds the transactions that mention the tickets in the server's log.
func (s *stage) loggedTransactions(byTicket map[string]acceptance) ([]recording, error) {
	content, err := os.ReadFile(filepath.Join(s.dir, "postgres", "cluster", "log", "server.json"))
	if err != nil {
		return nil, fmt.Errorf("read the server's log: %w", err)
	}
	open := map[string]*recording{} // by session, since its begin
	var found []recording
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var l logLine
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		st, ok := parseStatement(l)
		if !ok {
			continue
		}
		word := strings.ToLower(strings.TrimSpace(st.sql))
		if strings.HasPrefix(word, "begin") {
			open[l.Session] = &recording{}
		}
		t := open[l.Session]
		if t == nil {
			continue
		}
		t.statements = append(t.statements, st)
		for _, p := range st.params {
			one, _ := element(p)
			if a, ours := byTicket[one]; ours {
				t.acceptance = a
			}
		}
		if word == "commit" {
			if t.job != "" {
				found = append(found, *t)
			}
			delete(open, l.Session)
		}
	}
	return found, nil
}

var loggedStatement = regexp.MustCompile(`(?s)^(?:statement|execute [^:]+): (.*)$`)

func parseStatement(l logLine) (statement, bool) {
	found := loggedStatement.FindStringSubmatch(l.Message)
	if found == nil {
		return statement{}, false
	}
	st := statement{sql: found[1]}
	_, list, ok := strings.Cut(l.Detail, "arameters: ") // "Parameters" since Postgres 16
	if !ok {
		return st, true
	}
	for list != "" {
		_, rest, ok := strings.Cut(list, " = ")
		if !ok {
			return st, false
		}
		if after, isNull := strings.CutPrefix(rest, "NULL"); isNull {
			st.params, st.null = append(st.params, ""), append(st.null, true)
			list = strings.TrimPrefix(after, ", ")
			continue
		}
		value, after := unquote(rest)
		st.params, st.null = append(st.params, value), append(st.null, false)
		list = strings.TrimPrefix(after, ", ")
	}
	return st, true
}

// unquote reads a text in single quotes, in which a quote is written twice.
func unquote(s string) (value, rest string) {
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			out.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			out.WriteByte('\'')
			i++
			continue
		}
		return out.String(), s[i+1:]
	}
	return out.String(), ""
}

// script is a pgbench script with the values that stay the same.
type script struct {
	text   string
	values []string // name=value
}

var placeholder = regexp.MustCompile(`\$([0-9]+)`)

// The parts of a transaction that differ from one webhook to the next, as expressions of pgbench's variables. Row ids grow with
// time, as the product's do: random ones would be dearer for Postgres, and our share of its limit larger than it is.
const (
	newUUID   = `(lpad(to_hex(:n::bigint), 16, '0') || lpad(to_hex(:salt::bigint), 16, '0'))`
	newTicket = `('p' || :client_id::text || '-' || :run::text || '-' || :n::text)`
	newTenant = `('tenant-' || :tenant::text)`
	newKey    = `sha256((:n::text || '/' || :salt::text)::bytea)`
	newRef    = `('AIA-' || :salt::text || '-' || :n::text)`
)

// script is the transaction as pgbench can repeat it: what named the webhook becomes new each time, and all else stays a parameter
// with the value that was recorded.
func (r recording) script(tenant string, tenants int) script {
	ticket, job := ticketID(r.ticket), r.job
	var out strings.Builder
	fmt.Fprintf(&out, "\\set n :n + 1\n\\set salt random(1, 4000000000000000000)\n\\set tenant random(0, %d)\n", tenants-1)
	s := script{values: []string{"n=" + strconv.FormatInt(time.Now().UnixMicro(), 10)}}
	for i, st := range r.statements {
		sql := placeholder.ReplaceAllStringFunc(st.sql, func(found string) string {
			n, _ := strconv.Atoi(found[1:])
			if n < 1 || n > len(st.params) {
				return found
			}
			switch {
			case st.null[n-1]:
				return "NULL"
			case st.params[n-1] == "": // pgbench takes no empty variable
				return "''"
			}
			name := fmt.Sprintf("p%d_%d", i, n)
			value, array := element(st.params[n-1])
			expression, constant := express(value, name, ticket, tenant, job)
			switch {
			case constant && expression == ":"+name:
				s.values = append(s.values, name+"="+st.params[n-1])
				return expression
			case constant:
				s.values = append(s.values, name+"="+value)
			}
			if array {
				return "ARRAY[" + expression + "]"
			}
			return expression
		})
		out.WriteString(strings.TrimSpace(sql) + ";\n")
	}
	s.text = out.String()
	return s
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	hashForm = regexp.MustCompile(`^\\x[0-9a-f]{64}$`)
)

var (
	onlyElement = regexp.MustCompile(`(?s)^\{(?:([^{}",\\\s]+)|"((?:[^"\\]|\\.)*)")\}$`)
	escapedByte = regexp.MustCompile(`(?s)\\(.)`)
)

// element is the one element of an array, as a delivery that comes alone is sent; other values are returned as they are.
func element(value string) (one string, array bool) {
	found := onlyElement.FindStringSubmatch(value)
	if found == nil {
		return value, false
	}
	return found[1] + escapedByte.ReplaceAllString(found[2], "$1"), true
}

// express writes one parameter; constant says that it needs its recorded value.
func express(value, name, ticket, tenant, job string) (expression string, constant bool) {
	switch {
	case value == ticket:
		return newTicket, false
	case value == tenant:
		return newTenant, false
	case value == job:
		return newUUID + "::uuid", false
	case hashForm.MatchString(value):
		return newKey, false
	case uuidForm.MatchString(value):
		return newUUID + "::uuid", false
	case strings.HasPrefix(value, "AIA-"):
		return newRef, false
	case strings.Contains(value, job):
		return fmt.Sprintf("replace(replace(:%s::text, '%s', %s), '%s\"', %s || '\"')", name, job, newUUID, tenant, newTenant), true
	}
	return ":" + name, true
}

// limit is what pgbench reached.
type limit struct {
	clients int
	tps     float64
	latency float64 // ms, mean
}

var (
	tpsLine     = regexp.MustCompile(`tps = ([0-9.]+)`)
	latencyLine = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
)

// pgbench repeats the script against a database, with prepared statements.
func (s *stage) pgbench(ctx context.Context, database string, sc script, clients int, d time.Duration) (limit, error) {
	program, err := findPgbench()
	if err != nil {
		return limit{}, err
	}
	file := filepath.Join(s.dir, "intake.sql")
	if err := os.WriteFile(file, []byte(sc.text), 0o600); err != nil {
		return limit{}, fmt.Errorf("write script: %w", err)
	}
	u, err := url.Parse(s.pg.AppURL())
	if err != nil {
		return limit{}, fmt.Errorf("parse URL: %w", err)
	}
	password, _ := u.User.Password()
	args := []string{
		"-n", "-r", "-f", file, "-M", "prepared", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(min(clients, 4)),
		"-T", strconv.Itoa(int(max(1, d.Seconds()))), "--random-seed=" + strconv.FormatUint(s.opts.seed, 10),
		"-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username(), "-D", "run=" + strconv.Itoa(clients),
	}
	for _, v := range sc.values {
		args = append(args, "-D", v)
	}
	cmd := exec.CommandContext(ctx, program, append(args, database)...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	out, err := cmd.CombinedOutput()
	_ = os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("pgbench-%d.txt", clients)), out, 0o600) // for whoever keeps the logs
	tps, mean := tpsLine.FindSubmatch(out), latencyLine.FindSubmatch(out)
	if err != nil || tps == nil || bytes.Contains(out, []byte("aborted")) {
		return limit{}, fmt.Errorf("pgbench: %w: %s", err, out[:min(len(out), 3000)])
	}
	l := limit{clients: clients}
	l.tps, _ = strconv.ParseFloat(string(tps[1]), 64)
	if mean != nil {
		l.latency, _ = strconv.ParseFloat(string(mean[1]), 64)
	}
	return l, nil
}

func findPgbench() (string, error) {
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(installed) > 0 {
		return installed[len(installed)-1], nil
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", fmt.Errorf("the limit of Postgres needs pgbench, which comes with the server's package: %w", err)
	}
	return path, nil
}
