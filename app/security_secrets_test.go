package app

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/secret"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/retrieval"
	"aiagents/modules/tenant"
)

// outlets are the places that a run writes to, by name. Rows of tenants may hold their tickets; nothing may hold a secret.
func outlets(h *harness, commands string) (outside, rows map[string]string) {
	h.t.Helper()
	metrics := h.metrics()
	dump := h.dump()
	h.stop()
	outside = map[string]string{"logs": h.logs.String(), "metrics": metrics, "commands": commands, "river_job": dump["river_job"]}
	for _, s := range h.spans.GetSpans() {
		outside["traces"] += fmt.Sprintln(s.Name, s.Attributes, s.Status, s.Events, s.Links, s.Resource)
	}
	return outside, dump
}

// leaked names the outlets that show one of the words, in any of its spellings. Bytes are dumped in hex, so they are covered.
func leaked(outlets map[string]string, words map[string]string) (leaks []string) {
	for _, outlet := range sortedKeys(outlets) {
		text := strings.ToLower(outlets[outlet])
		for _, name := range sortedKeys(words) {
			for _, spelling := range spellings(words[name]) {
				if at := strings.Index(text, strings.ToLower(spelling)); at >= 0 {
					leaks = append(leaks, fmt.Sprintf("%s shows %s: …%s…", outlet, name, text[max(0, at-120):min(len(text), at+60)]))
					break
				}
			}
		}
	}
	return leaks
}

// spellings are the forms in which a secret may show.
func spellings(s string) []string {
	return []string{s, hex.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s))}
}

// secretWords are every secret of an installation, each recognisable.
type secretWords map[string]string

func newSecretWords() secretWords {
	words := secretWords{}
	for _, name := range []string{
		"openai key", "admin token", "desk key", "webhook secret", "next webhook secret", "oauth client secret",
		"oauth refresh token", "bearer of a bridge", "guessed token", "password in a URL",
	} {
		words[name] = "canary" + strings.ToUpper(strings.NewReplacer(" ", "").Replace(name)) + fmt.Sprintf("%x", randomBytes(8))
	}
	return words
}

// environ sets the process-wide ones. The keyring and the database's password are the harness's own.
func (s secretWords) environ(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin-token")
	require.NoError(t, os.WriteFile(file, []byte(s["admin token"]+"\n"), 0o600))
	return []string{envPrefix + "ADMIN_TOKEN_FILE=" + file, envPrefix + "OPENAI_API_KEY=" + s["openai key"]}
}

// addHarness takes over what the harness chose.
func (s secretWords) addHarness(t *testing.T, h *harness) {
	t.Helper()
	u, err := url.Parse(h.db.AppURL)
	require.NoError(t, err)
	s["database password"], _ = u.User.Password()
	_, s["encryption key"], _ = strings.Cut(h.cfg.Encryption.Keys.Reveal(), ":")
	for name, word := range s {
		require.GreaterOrEqual(t, len(word), 16, name)
	}
}

// ticketWords are what only tickets say.
var ticketWords = map[string]string{
	"a subject": "Gloxinia", "a description": "Pimpernel", "a requester": "Snapdragonson", "a mail address": "aquilegia@tulip.example",
	"a refused field": "Marigoldish", "an article": "Camelliaflower", "a password in a ticket": "Larkspur",
}

func wordyTicket() servicedesk.Ticket {
	return servicedesk.Ticket{
		Subject: "Gloxinia printer offline", Description: "The Pimpernel printer prints nothing since 9:00. password: Larkspur!77",
		Requester: servicedesk.Person{Name: "Ann Snapdragonson", Email: "aquilegia@tulip.example"},
	}
}

func TestSecretsAndTicketsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	words := newSecretWords()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence, APIKey: words["openai key"]}), withEnviron(words.environ(t)...),
		withConfig(func(c *Config) { c.Enhancement.MaxAttempts = 2 }))
	words.addHarness(t, h)
	require.Equal(t, words["admin token"], h.cfg.Ops.AdminToken.Reveal())
	acme := h.tenant("acme", h.newDesk(servicedesk.Options{APIKey: words["desk key"]}), func(in *tenant.CreateInput) {
		in.WebhookSecret = secret.New(words["webhook secret"])
	})
	cloud := h.cloudTenant(words)
	commands := everyCommand(t, h, words)

	// The way that goes well, thin and with the text in the webhook.
	acme.note(acme.file(wordyTicket()))
	cloud.note(cloud.file(wordyTicket()))
	full := acme.add(wordyTicket())
	require.Equal(t, 202, acme.send(acme.body(full, "subject", "Gloxinia", "description", "Pimpernel down, password: Larkspur!77")).status)
	acme.note(full)

	// Requests that are refused, full of words.
	guess := words["guessed token"]
	for _, body := range [][]byte{acme.body("1", "description", "Pimpernel"), []byte(`{"tenant_id":"acme","Marigoldish":"`), []byte("Marigoldish")} {
		require.Equal(t, 401, h.post(webhookPath, body, "X-ServiceDesk-Token", guess, "Authorization", "Bearer "+guess, "Cookie", "a="+guess).status)
		require.Equal(t, 401, h.post(webhookPath+"/nix?token="+guess, body, "X-ServiceDesk-Signature", guess).status)
	}
	for _, body := range []string{`{"ticket_id":"Marigoldish Marigoldish"}`, `{"ticket_id":"1","event":"Marigoldish!","created_at":"Marigoldish","description":["Marigoldish"]}`, `{"Marigoldish`} {
		require.Equal(t, 400, h.post(webhookPath+"/acme", []byte(body), "X-ServiceDesk-Token", acme.secret).status)
	}
	require.Equal(t, 404, h.do("GET", h.publicURL()+"/nothing?token="+guess, nil, "Authorization", "Bearer "+guess).status)
	require.Equal(t, 404, h.do("GET", h.opsURL()+"/nothing?token="+guess, nil, "Authorization", "Bearer "+guess).status)

	// The model fails in every way, then the desk.
	for _, kind := range []openai.Kind{openai.OutOfQuota, openai.ServerError, openai.Garbage, openai.NotJSON, openai.HTMLPage, openai.Refusal, openai.Cut} {
		h.model.Script(openai.Behaviour{Kind: kind})
		acme.note(acme.file(wordyTicket()))
	}
	h.model.SetAPIKey("another")
	acme.note(acme.file(wordyTicket()))
	acme.settled()
	acme.desk.AddFault(servicedesk.Fault{Kind: servicedesk.ErrorBeforeApply, Operation: servicedesk.NotesAdd})
	troubled(acme, acme.file(wordyTicket()))
	acme.desk.ClearFaults()
	acme.desk.AddFault(servicedesk.Fault{Kind: servicedesk.HTMLPage, Operation: servicedesk.RequestsGet})
	troubled(acme, acme.file(wordyTicket()))
	acme.desk.ClearFaults()
	acme.desk.SetAPIKey("another")
	troubled(acme, acme.file(wordyTicket()))
	cloud.desk.RevokeTokens()
	troubled(cloud, cloud.file(wordyTicket()))

	words["access token of the desk"] = accessToken(t, cloud)
	require.Empty(t, h.model.Find("Larkspur"), "a password in a ticket does not leave for the model")
	for _, id := range scanAll[string](h, `SELECT ticket_id FROM enhancement_history WHERE tenant_id = 'acme'`) {
		for _, n := range acme.desk.Notes(id) {
			require.NotContains(t, n.Description, "Larkspur", "nor into a note")
		}
	}
	outside, rows := outlets(h, commands)
	require.Contains(t, rows["enhancement_history"], "Pimpernel", "the words were really there")
	require.Contains(t, outside["traces"], "synthesise")
	require.Empty(t, leaked(outside, words))
	require.Empty(t, leaked(rows, words))
	require.Empty(t, leaked(outside, ticketWords))
	// Shown to fail: the search finds a word in the logs, and bytes in a row.
	h.p.tel.logger.Info("shown to fail", "value", words["desk key"])
	require.Len(t, leaked(map[string]string{"logs": h.logs.String()}, words), 1)
	require.Len(t, leaked(map[string]string{"rows": scan[string](h, `SELECT ROW($1::bytea)::text`, []byte(words["openai key"]))}, words), 1)
}

// troubled waits until the run of a ticket has met its first failure.
func troubled(tt *testTenant, ticketID string) {
	tt.h.t.Helper()
	require.Eventually(tt.h.t, func() bool {
		return scan[int](tt.h, `SELECT count(*) FROM enhancement_history WHERE tenant_id = $1 AND ticket_id = $2 AND error_message IS NOT NULL`, tt.id, ticketID) == 1
	}, patience, 10*time.Millisecond, "the run of %s met no failure", ticketID)
}

func (h *harness) cloudTenant(words secretWords) *testTenant {
	h.t.Helper()
	d := h.newDesk(servicedesk.Options{Edition: servicedesk.Cloud, Portal: "itdesk", OAuth: servicedesk.OAuth{
		ClientID: "1000.CLIENT", ClientSecret: words["oauth client secret"], RefreshToken: words["oauth refresh token"],
	}})
	key, err := json.Marshal(map[string]string{
		"accounts_url": d.url, "client_id": "1000.CLIENT", "client_secret": words["oauth client secret"], "refresh_token": words["oauth refresh token"],
	})
	require.NoError(h.t, err)
	return h.tenant("cloud", d, func(in *tenant.CreateInput) {
		in.Edition, in.Portal, in.APIKey = tenant.Cloud, "itdesk", secret.New(string(key))
	})
}

// accessToken is what the desk handed out, as it came back in a request.
func accessToken(t *testing.T, tt *testTenant) string {
	t.Helper()
	for _, r := range tt.desk.Requests() {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Zoho-oauthtoken "); ok {
			return token
		}
	}
	require.Fail(t, "the desk was never called with a token")
	return ""
}

// everyCommand runs the commands that show something, well and badly, and returns all that they printed. What prints a new
// secret once is left out.
func everyCommand(t *testing.T, h *harness, words secretWords) string {
	t.Helper()
	printed := ""
	withSecret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(withSecret, []byte(words["next webhook secret"]), 0o600))
	for _, args := range [][]string{
		{"tenant", "list"},
		{"tenant", "list", "--output", "json"},
		{"tenant", "show", "acme"},
		{"tenant", "show", "acme", "--output", "json"},
		{"tenant", "show", "cloud", "--output", "json"},
		{"config", "show"},
		{"config", "show", "--output", "json"},
		{"config", "check"},
		{"tenant", "update", "acme", "--name", "Acme again"},
		{"tenant", "disable", "acme"},
		{"tenant", "enable", "acme"},
		{"keys", "rotate"},
		{"migrate", "status"},
		{"version"},
		{"enhancement", "list", "--tenant", "acme"},
		{"webhook", "send", "--tenant", "acme", "--url", h.publicURL() + webhookPath, "--event", "ticket_updated"},
		{"tenant", "update", "acme", "--servicedesk-url", "https://user:" + words["password in a URL"] + "@desk.example"},
		{"tenant", "update", "cloud", "--servicedesk-api-key-file", withSecret},
		{"tenant", "show", "nix"},
		{"tenant", "create", "--id", "acme", "--name", "x", "--servicedesk-url", "https://a.example", "--servicedesk-api-key-file", withSecret},
		{"doctor"},
	} {
		_, out, errOut := h.cli("", args...)
		printed += fmt.Sprintln(args[0], out, errOut)
	}
	require.Contains(t, printed, "[set]")
	_, out, errOut := h.cli("", "tenant", "rotate-secret", "acme", "--webhook-secret-file", withSecret, "--grace", "1h")
	require.Contains(t, out, words["next webhook secret"], "shown once, here")
	return printed + errOut
}

// parrot answers every request with a failure that quotes the whole request, credentials included, as careless servers and
// proxies do.
func parrot(t *testing.T, statuses ...int) (string, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		quoted, err := httputil.DumpRequest(r, true)
		if err != nil {
			quoted = []byte(err.Error())
		}
		status := statuses[int(calls.Add(1)-1)%len(statuses)]
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Quoted", r.Header.Get("Authorization")+r.Header.Get("authtoken"))
		w.Header().Set("Location", "http://elsewhere.example/?"+url.QueryEscape(r.Header.Get("Authorization")))
		w.WriteHeader(status)
		body, err := json.Marshal(map[string]any{
			"error":           map[string]any{"message": string(quoted), "type": "invalid_request_error", "code": string(quoted)},
			"response_status": map[string]any{"status_code": 4000, "status": "failed", "messages": []any{map[string]any{"status_code": 4001, "message": string(quoted)}}},
		})
		if err == nil {
			_, _ = w.Write(body) // a client that left reads nothing
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &calls
}

func TestServersThatQuoteRequestsLeakNothing(t *testing.T) {
	t.Parallel()
	words := newSecretWords()
	modelURL, modelCalls := parrot(t, 400, 401, 403, 404, 429, 500, 302, 200)
	h := newHarness(t, withEnviron(append(words.environ(t), envPrefix+"OPENAI_BASE_URL="+modelURL+"/v1", envPrefix+"OPENAI_RETRY_DELAY=1ms")...))
	words.addHarness(t, h)
	past := canaries{ticketWords["a description"], ticketWords["an article"], "Room"}
	for n, status := range []int{400, 401, 403, 404, 429, 500, 302, 200} {
		deskURL, deskCalls := parrot(t, status)
		for edition, key := range map[string]string{tenant.Generic: words["bearer of a bridge"], tenant.OnPrem: words["desk key"]} {
			id := fmt.Sprintf("%s-%d", edition, status)
			created, err := h.p.system.tenants.Create(context.Background(), "test", tenant.CreateInput{
				ID: id, Name: id, Edition: edition, ServiceDeskURL: deskURL, APIKey: secret.New(key),
			})
			require.NoError(t, err)
			tt := &testTenant{h: h, id: id, secret: created.WebhookSecret.Reveal()}
			_, err = h.p.system.tickets.ImportTickets(t.Context(), id, retrieval.CSV, strings.NewReader(pastTickets(past)), 0, nil)
			require.NoError(t, err)
			_, err = h.p.system.tickets.ImportArticles(t.Context(), id, "default", fstest.MapFS{"backup.md": {Data: []byte(pastArticle(past))}}, nil)
			require.NoError(t, err)
			require.Equal(t, 202, tt.send(tt.body(fmt.Sprint(n), "subject", "Gloxinia "+sameTicket.Subject, "description", "Pimpernel "+sameTicket.Description)).status)
			troubled(tt, fmt.Sprint(n))
		}
		require.Positive(t, deskCalls.Load(), status)
	}
	require.Positive(t, modelCalls.Load())
	printed := ""
	for _, id := range []string{"generic-400", "onprem-500"} {
		_, out, errOut := h.cli("", "enhancement", "list", "--tenant", id)
		printed += out + errOut
		_, out, errOut = h.cli("", "enhancement", "preview", "--tenant", id, "--ticket-id", "1")
		printed += out + errOut
	}
	errors := map[string]string{"error messages": strings.Join(scanAll[string](h, `SELECT error_message FROM enhancement_history WHERE error_message IS NOT NULL`), "\n")}
	outside, rows := outlets(h, printed)
	require.Empty(t, leaked(outside, words))
	require.Empty(t, leaked(rows, words))
	require.Empty(t, leaked(outside, ticketWords))
	require.Empty(t, leaked(errors, ticketWords))
}

// River's rows hold ids and nothing else, whatever the event.
func TestJobsHoldIDsOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve")) // nothing works the jobs, so all are there to see
	acme := h.tenant("acme", nil, nil)
	for _, event := range []string{"ticket_created", "ticket_resolved", "ticket_closed"} {
		require.Equal(t, 202, acme.send(acme.body("T-"+event, "event", event, "subject", "Gloxinia", "description", "Pimpernel")).status)
	}
	jobs := scanAll[string](h, `SELECT args::text FROM river_job`)
	require.Len(t, jobs, 3)
	for _, args := range jobs {
		var fields map[string]string
		require.NoError(t, json.Unmarshal([]byte(args), &fields), args)
		require.Equal(t, []string{"enhancement_id", "tenant_id"}, sortedKeys(fields))
	}
	require.Empty(t, leaked(map[string]string{"river_job": h.dump()["river_job"]}, ticketWords))
}

// Every table with a column for bytes that are encrypted is listed, so that a new one is looked at.
func TestSealedColumnsAreKnown(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withRole("serve"))
	sealed := scanAll[string](h, `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND (column_name LIKE '%encrypted%' OR column_name LIKE '%sealed%' OR column_name LIKE '%secret%' OR column_name LIKE '%token%')
		  AND data_type <> 'integer' AND column_name NOT LIKE '%\_at' AND column_name NOT LIKE '%\_until' ORDER BY 1`)
	for _, column := range sealed {
		table, name, _ := strings.Cut(column, ".")
		kind := scan[string](h, `SELECT data_type FROM information_schema.columns WHERE table_name = $1 AND column_name = $2`, table, name)
		require.Equal(t, "bytea", kind, "%s looks like a secret and is not sealed", column)
	}
	require.True(t, slices.Contains(sealed, "tenant_configs.servicedesk_api_key_encrypted"), sealed)
}
