package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"aiagents/app/adminapi"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

const testAdminToken = "an admin token of some length"

// adminDoc is the OpenAPI document, as far as the tests read it.
type adminDoc struct {
	OpenAPI string `json:"openapi"`
	Info    struct{ Title, Version, Description string }
	Servers []struct{ URL string }
	Tags    []struct{ Name, Description string }
	Paths   map[string]map[string]adminOperation
}

type adminOperation struct {
	OperationID string `json:"operationId"`
	Summary     string
	Tags        []string
	Parameters  []struct {
		Name, In, Description string
		Required              bool
		Schema                map[string]any
	}
	RequestBody *struct{ Required bool }
	Responses   map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]any
	}
}

// adminClient calls operations by their id, and holds every answer against the document.
type adminClient struct {
	h       *harness
	doc     adminDoc
	raw     any
	schemas *jsonschema.Compiler

	mu   sync.Mutex
	seen map[string]map[int]bool // statuses by operation
}

func newAdminClient(h *harness) *adminClient {
	h.t.Helper()
	a := h.do(http.MethodGet, h.opsURL()+"/api/v1/openapi.json", nil, "Authorization", "Bearer "+testAdminToken)
	require.Equal(h.t, http.StatusOK, a.status, a.body)
	c := &adminClient{h: h, seen: map[string]map[int]bool{}, schemas: jsonschema.NewCompiler()}
	require.NoError(h.t, json.Unmarshal([]byte(a.body), &c.doc))
	var err error
	c.raw, err = jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	require.NoError(h.t, err)
	c.schemas.DefaultDraft(jsonschema.Draft2020)
	c.schemas.AssertFormat()
	require.NoError(h.t, c.schemas.AddResource("urn:api", c.raw))
	return c
}

func (c *adminClient) operation(id string) (method, path string, op adminOperation) {
	c.h.t.Helper()
	for path, methods := range c.doc.Paths {
		for method, op := range methods {
			if op.OperationID == id {
				return strings.ToUpper(method), path, op
			}
		}
	}
	require.Fail(c.h.t, "no such operation", id)
	return "", "", op
}

// call fills path and query with the parameters, and checks the answer.
func (c *adminClient) call(id string, params map[string]string, body string, headers ...string) answer {
	c.h.t.Helper()
	method, path, op := c.operation(id)
	query := url.Values{}
	for name, value := range params {
		if strings.Contains(path, "{"+name+"}") {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
			continue
		}
		query.Set(name, value)
	}
	all := []string{"Authorization", "Bearer " + testAdminToken}
	if body != "" {
		all = append(all, "Content-Type", "application/json")
	}
	a := c.h.do(method, c.h.opsURL()+adminapi.Prefix+path+"?"+query.Encode(), []byte(body), append(all, headers...)...)
	c.check(id, op, a)
	return a
}

// check holds an answer against what the document says about its operation and status.
func (c *adminClient) check(id string, op adminOperation, a answer) {
	c.h.t.Helper()
	response, documented := op.Responses[strconv.Itoa(a.status)]
	require.True(c.h.t, documented, "%s answers %d, which is not documented: %s", id, a.status, a.body)
	require.NotEmpty(c.h.t, a.header.Get("X-Request-Id"))
	require.Equal(c.h.t, "no-store", a.header.Get("Cache-Control"))
	require.True(c.h.t, strings.HasPrefix(a.header.Get("Content-Type"), "application/json"), a.header.Get("Content-Type"))
	_, path, _ := c.operation(id)
	method, _, _ := c.operation(id)
	pointer := "urn:api#/paths/" + url.PathEscape(strings.ReplaceAll(path, "/", "~1")) + "/" + strings.ToLower(method) +
		"/responses/" + strconv.Itoa(a.status) + "/content/application~1json/schema"
	if response.Ref != "" {
		pointer = "urn:api" + response.Ref + "/content/application~1json/schema"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	schema, err := c.schemas.Compile(pointer)
	require.NoError(c.h.t, err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	require.NoError(c.h.t, err)
	require.NoError(c.h.t, schema.Validate(value), "%s: %s", id, a.body)
	if c.seen[id] == nil {
		c.seen[id] = map[int]bool{}
	}
	c.seen[id][a.status] = true
}

// data is the data of a success.
func data[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	require.Less(t, a.status, 300, a.body)
	var body struct {
		Status, Message string
		Data            T
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body))
	require.Equal(t, "success", body.Status)
	require.NotEmpty(t, body.Message)
	return body.Data
}

// details are the faulty fields of a refusal.
func (a answer) details() map[string]string {
	var e errorBody
	// An answer of another shape has no details.
	_ = json.Unmarshal([]byte(a.body), &e)
	return e.Error.Details
}

func newAdminHarness(t *testing.T, opts ...harnessOption) (*harness, *adminClient) {
	t.Helper()
	h := newHarness(t, append(opts, withEnviron(envPrefix+"ADMIN_TOKEN="+testAdminToken))...)
	return h, newAdminClient(h)
}

type params = map[string]string

// Every operation is called for real, and every answer is held against the document.
func TestTheAdminAPIDoesWhatItsDocumentSays(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	desk := h.newDesk(servicedesk.Options{})
	made := c.call("createTenant", nil, fmt.Sprintf(`{"id":"acme","name":"Acme","servicedesk_url":%q,"servicedesk_api_key":%q}`, desk.url, desk.apiKey))
	require.Equal(t, http.StatusCreated, made.status, made.body)
	require.Equal(t, "/api/v1/tenants/acme", made.header.Get("Location"))
	secret := data[struct {
		WebhookSecret string `json:"webhook_secret"`
	}](t, made).WebhookSecret
	acme := &testTenant{h: h, id: "acme", secret: secret, desk: desk}
	ticket, _, err := desk.CreateTicket(t.Context(), servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect since this morning"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, acme.send(acme.body(ticket)).status)
	acme.settled()
	acmeOnly := params{"tenant_id": "acme"}

	list := data[struct {
		Items []struct{ ID, Outcome string }
	}](t, c.call("listEnhancements", params{"tenant_id": "acme", "status": "completed", "ticket_id": ticket}, ""))
	require.Len(t, list.Items, 1)
	run := params{"id": list.Items[0].ID}
	detail := data[struct {
		Timeline []struct{ Name string }
		NoteHTML string `json:"note_html"`
	}](t, c.call("getEnhancement", run, ""))
	require.Greater(t, len(detail.Timeline), 5)
	require.Contains(t, detail.NoteHTML, "AIA-")
	require.Equal(t, http.StatusAccepted, c.call("retryEnhancement", run, "").status)
	acme.settled()
	preview := data[struct {
		NoteText string `json:"note_text"`
	}](t, c.call("previewEnhancement", nil, `{"tenant_id":"acme","subject":"VPN","description":"VPN error 809"}`))
	require.NotEmpty(t, preview.NoteText)

	for _, id := range []string{"getOverview", "getQueue", "listWorkers", "listHousekeeping", "listAudit", "getCosts", "listTenants"} {
		require.Equal(t, http.StatusOK, c.call(id, nil, "").status, id)
	}
	for _, id := range []string{"getTenant", "getTenantStatus", "testConnection", "disableTenant", "enableTenant", "listTenantSecrets"} {
		require.Equal(t, http.StatusOK, c.call(id, acmeOnly, "").status, id)
	}
	require.Equal(t, http.StatusOK, c.call("dryRunHousekeeping", params{"task": "retain_history"}, "").status)
	require.Equal(t, http.StatusOK, c.call("rotateWebhookSecret", acmeOnly, `{"grace_seconds":0}`).status)
	zabbix := params{"tenant_id": "acme", "name": "zabbix"}
	require.Equal(t, http.StatusOK, c.call("setTenantSecret", zabbix, `{"value":"s3cret"}`).status)
	require.Equal(t, http.StatusOK, c.call("deleteTenantSecret", zabbix, "").status)
	etag := c.call("getTenant", acmeOnly, "").header.Get("ETag")
	changed := c.call("updateTenant", acmeOnly, `{"name":"Acme Clinics","preferences":{"max_words":120,"skip":{"categories":["Spam"]}}}`, "If-Match", etag)
	require.NotEqual(t, etag, changed.header.Get("ETag"))
	changed = c.call("updateTenant", acmeOnly, `{"preferences":{"note_language":"de"}}`, "If-Match", changed.header.Get("ETag"))
	require.Contains(t, changed.body, `"max_words":120`, "what is left out stays as it is")
	require.Contains(t, changed.body, `"Spam"`)

	require.Equal(t, http.StatusNotFound, c.call("getTenant", params{"tenant_id": "nobody"}, "").status)
	require.Equal(t, http.StatusConflict, c.call("createTenant", nil, fmt.Sprintf(`{"id":"acme","name":"A","servicedesk_url":%q}`, desk.url)).status)
	require.Equal(t, http.StatusNotFound, c.call("getEnhancement", params{"id": "0193e9b2-0000-7000-8000-000000000000"}, "").status)
	require.Equal(t, http.StatusUnauthorized, c.call("getOverview", nil, "", "Authorization", "").status)
	require.Equal(t, http.StatusOK, c.call("deleteTenant", acmeOnly, "").status)
	require.Equal(t, http.StatusNotFound, c.call("deleteTenant", params{"tenant_id": "nobody"}, "").status)

	for path, methods := range c.doc.Paths {
		for _, op := range methods {
			success := slices.ContainsFunc([]int{200, 201, 202}, func(status int) bool { return c.seen[op.OperationID][status] })
			require.True(t, success, "%s of %s was never seen to succeed", op.OperationID, path)
		}
	}
	// The check itself refuses what the document does not say.
	bad := answer{status: http.StatusOK, header: http.Header{"X-Request-Id": {"x"}}, body: `{"status":"success","data":{"states":[{}]},"message":"m"}`}
	schema, err := c.schemas.Compile("urn:api#/paths/~1queue/get/responses/200/content/application~1json/schema")
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(bad.body))
	require.NoError(t, err)
	require.Error(t, schema.Validate(value))
}

func TestEveryRouteOfTheAdminAPIIsDocumentedAndTheOtherWayRound(t *testing.T) {
	t.Parallel()
	h, c := newAdminHarness(t, withRole("serve"))
	ops, ok := h.p.ops.http.Handler.(*echo.Echo)
	require.True(t, ok)
	own := []string{"/openapi.json", "/openapi.yaml", "/docs", "/docs/style.css"}
	routes, documented := map[string]bool{}, map[string]bool{}
	for _, r := range ops.Routes() {
		path, inside := strings.CutPrefix(r.Path, adminapi.Prefix)
		if !inside || slices.Contains(own, path) {
			continue
		}
		parts := strings.Split(path, "/")
		for i, p := range parts {
			if name, isParam := strings.CutPrefix(p, ":"); isParam {
				parts[i] = "{" + name + "}"
			}
		}
		routes[r.Method+" "+strings.Join(parts, "/")] = true
	}
	for path, methods := range c.doc.Paths {
		for method := range methods {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	require.Equal(t, documented, routes)
	require.Greater(t, len(routes), 20)
	for _, path := range own {
		require.Equal(t, http.StatusOK, h.do(http.MethodGet, h.opsURL()+adminapi.Prefix+path, nil, "Authorization", "Bearer "+testAdminToken).status)
	}
}

// lint names what a reader or a generator of clients would stumble over.
func lint(doc adminDoc) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") || doc.Info.Title == "" || doc.Info.Version == "" || doc.Info.Description == "" || len(doc.Servers) == 0 {
		fault("the document does not introduce itself")
	}
	tags, ids := map[string]bool{}, map[string]bool{}
	for _, tag := range doc.Tags {
		tags[tag.Name] = tag.Description != ""
	}
	for path, methods := range doc.Paths {
		if path != strings.ToLower(path) || strings.HasSuffix(path, "/") {
			fault("%s: not lower case, or a slash at its end", path)
		}
		for method, op := range methods {
			name := method + " " + path
			if op.OperationID == "" || ids[op.OperationID] {
				fault("%s: its operation id is missing or not its own", name)
			}
			ids[op.OperationID] = true
			if op.Summary == "" || strings.HasSuffix(op.Summary, ".") || len(op.Tags) != 1 || !tags[op.Tags[0]] {
				fault("%s: no summary, or not one described tag", name)
			}
			declared := map[string]bool{}
			for _, p := range op.Parameters {
				declared[p.In+" "+p.Name] = true
				if p.Description == "" && p.Schema["enum"] == nil || len(p.Schema) == 0 || p.In == "path" && !p.Required {
					fault("%s: parameter %s has no description or schema, or is in the path and optional", name, p.Name)
				}
			}
			for _, part := range strings.Split(path, "/") {
				if inner, ok := strings.CutPrefix(part, "{"); ok && !declared["path "+strings.TrimSuffix(inner, "}")] {
					fault("%s: %s is not declared", name, part)
				}
			}
			success := false
			for status, r := range op.Responses {
				success = success || strings.HasPrefix(status, "2")
				if r.Ref == "" && len(r.Content) == 0 {
					fault("%s: the answer %s has no schema", name, status)
				}
			}
			for _, status := range []string{"400", "401", "429", "500", "503"} {
				if _, ok := op.Responses[status]; !ok {
					fault("%s: no answer %s", name, status)
				}
			}
			if !success || (method == "get" || method == "delete") && op.RequestBody != nil {
				fault("%s: no success, or a body where none belongs", name)
			}
		}
	}
	return faults
}

func TestTheOpenAPIDocumentIsClean(t *testing.T) {
	t.Parallel()
	_, c := newAdminHarness(t, withRole("serve"))
	require.Empty(t, lint(c.doc))
	broken := adminDoc{OpenAPI: "3.0.0", Paths: map[string]map[string]adminOperation{"/A/{id}/": {"get": {RequestBody: &struct{ Required bool }{}}}}}
	require.GreaterOrEqual(t, len(lint(broken)), 10)

	// Every schema is a JSON Schema of 2020-12, every reference leads somewhere, and nothing lies about unused.
	root := c.raw.(map[string]any)["components"].(map[string]any)
	text, err := json.Marshal(c.raw)
	require.NoError(t, err)
	for _, kind := range []string{"schemas", "responses"} {
		for name := range root[kind].(map[string]any) {
			if kind == "schemas" {
				_, err := c.schemas.Compile("urn:api#/components/schemas/" + name)
				require.NoError(t, err, name)
			}
			require.Contains(t, string(text), `"#/components/`+kind+"/"+name+`"`, "%s is used nowhere", name)
		}
	}
}
