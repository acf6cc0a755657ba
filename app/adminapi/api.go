package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"aiagents/app/adminauth"
	"aiagents/app/operator"
)

// apiVersion grows with what the API can do; the first part is that of Prefix.
const apiVersion = "1.0.0"

// Prefix is where the API begins.
const Prefix = "/api/v1"

// maxBody bounds a request's body, in bytes: a tenant with large preferences has some ten thousand.
const maxBody = 128 << 10

// Deps are what the API works with. All are required.
type Deps struct {
	Service *operator.Service
	// Refuse classifies an error and logs it once; the API only writes what it says.
	Refuse func(c echo.Context, err error) RefusalError
}

// api is the API under construction.
type api struct {
	Deps
	huma huma.API
}

// Mount adds the routes to e. The caller lets only operators through to Prefix.
func Mount(e *echo.Echo, deps Deps) error {
	a := &api{Deps: deps}
	// Not on the group: a group with middleware answers 404 where 405 is true.
	e.Use(a.carry)
	group := e.Group(Prefix)
	a.huma = humaecho.NewWithGroup(e, group, configuration())
	a.tenants()
	a.tenantActs()
	a.tenantSecrets()
	a.enhancements()
	a.operations()
	refine(a.huma.OpenAPI())
	return a.document(group)
}

func configuration() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "aiagents admin API", Version: apiVersion, Description: description,
				License: &huma.License{Name: "MIT", Identifier: "MIT"},
			},
			Servers:  []*huma.Server{{URL: Prefix, Description: "The operations port of any role (AI_AGENTS_OPS_ADDR)"}},
			Tags:     tags,
			Security: []map[string][]string{{"token": {}}, {"session": {}}},
			Components: &huma.Components{
				Schemas:   huma.NewMapRegistry("#/components/schemas/", schemaName),
				Responses: map[string]*huma.Response{},
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "The admin token (AI_AGENTS_ADMIN_TOKEN)"},
					"session": {Type: "apiKey", In: "cookie", Name: "aiagents_session", Description: "A session of the console; over TLS the name begins with __Host-"},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// schemaName is huma's, but for two packages that use one name.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if name == "Storm" && t.PkgPath() != reflect.TypeFor[operator.Storm]().PkgPath() {
		return "EvidenceStorm"
	}
	return name
}

const description = `Everything an operator can see and do, as the console and the command line do it.

Every answer is {"status":"success","data":…,"message":…} or {"status":"error","error":{"code":…,"message":…,"details":…}};
details names each faulty field. Every answer has X-Request-Id, under which the log has the cause of an error.

Lists are the newest first and come in pages: limit is the size of a page, next_cursor of one page is cursor of the next. Times are
RFC 3339 in UTC. Fields and query parameters that do not exist are refused. Secrets are written and never read; a webhook
secret is shown once, when it is made.

An update of a tenant names the version that it was made from: send the ETag of the tenant as If-Match. 428 means that it is
missing, 412 that somebody else was faster.`

var tags = []*huma.Tag{
	{Name: "operations", Description: "Whether it works, and for whom it does not"},
	{Name: "tenants", Description: "Customers with their service desks, secrets and preferences"},
	{Name: "enhancements", Description: "The history of notes, one run with everything about it, run again, preview"},
}

type echoKey struct{}

// carry hands the request's echo context to the handlers, and makes the API known to the functions that huma calls.
func (a *api) carry(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Set(contextAPI, a)
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), echoKey{}, c)))
		return next(c)
	}
}

const contextAPI = "adminapi"

func echoOf(ctx context.Context) echo.Context {
	c, ok := ctx.Value(echoKey{}).(echo.Context)
	if !ok {
		panic("adminapi: a handler outside of carry")
	}
	return c
}

func actor(ctx context.Context) string {
	who, ok := adminauth.From(ctx)
	if !ok {
		panic("adminapi: a handler outside of adminauth.Protect")
	}
	return who.Actor()
}

// envelope is the one shape of success.
type envelope[T any] struct {
	Status  string `json:"status" enum:"success"`
	Data    T      `json:"data"`
	Message string `json:"message" doc:"What was done, in plain words"`
}

func success[T any](data T, message string) envelope[T] {
	return envelope[T]{Status: "success", Data: data, Message: message}
}

// answer, tagged and created are the kinds of success: plain, with the tenant's version, and with the new tenant's place.
type answer[T any] struct{ Body envelope[T] }

type tagged[T any] struct {
	ETag string `header:"ETag" doc:"Version of the tenant, for If-Match"`
	Body envelope[T]
}

type created[T any] struct {
	ETag     string `header:"ETag" doc:"Version of the tenant, for If-Match"`
	Location string `header:"Location" doc:"Where the tenant is"`
	Body     envelope[T]
}

// route is one operation of the API.
type route struct {
	method, path, id, tag, summary, description string
	status                                      int   // 0 is 200
	refusals                                    []int // besides those of every route
}

// add registers a route. Its faults take the product's shape.
func add[I, O any](a *api, r route, act func(ctx context.Context, in *I) (*O, error)) {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.description, Tags: []string{r.tag},
		DefaultStatus: r.status, MaxBodyBytes: maxBody + 1, Responses: map[string]*huma.Response{},
	}
	if op.DefaultStatus == 0 {
		op.DefaultStatus = http.StatusOK
	}
	codes := append([]int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusServiceUnavailable,
	}, r.refusals...)
	if r.method != http.MethodGet {
		codes = append(codes, http.StatusForbidden)
	}
	if r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch {
		codes = append(codes, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	for _, code := range codes {
		op.Responses[fmt.Sprint(code)] = a.refusalResponse(code)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := act(ctx, in)
		if err != nil {
			return nil, a.Refuse(echoOf(ctx), err)
		}
		return out, nil
	})
}

// refusalResponse is one shared component a status.
func (a *api) refusalResponse(code int) *huma.Response {
	components := a.huma.OpenAPI().Components
	name := refusalNames[code]
	if components.Responses[name] == nil {
		schema := components.Schemas.Schema(reflect.TypeFor[refusalBody](), true, "Refusal")
		headers := map[string]*huma.Param{"X-Request-Id": {Description: "Under this id the log has the cause", Schema: &huma.Schema{Type: "string"}}}
		if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
			headers["Retry-After"] = &huma.Param{Description: "Seconds to wait, where known", Schema: &huma.Schema{Type: "integer"}}
		}
		components.Responses[name] = &huma.Response{
			Description: refusalTexts[code], Headers: headers,
			Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

var refusalNames = map[int]string{
	http.StatusBadRequest: "Invalid", http.StatusUnauthorized: "Unauthenticated", http.StatusForbidden: "CrossSite",
	http.StatusNotFound: "NotFound", http.StatusConflict: "Conflict", http.StatusPreconditionFailed: "PreconditionFailed",
	http.StatusPreconditionRequired: "PreconditionRequired", http.StatusRequestEntityTooLarge: "TooLarge",
	http.StatusUnsupportedMediaType: "UnsupportedMediaType", http.StatusTooManyRequests: "TooManyRequests",
	http.StatusInternalServerError: "Internal", http.StatusServiceUnavailable: "Unavailable",
}

var refusalTexts = map[int]string{
	http.StatusBadRequest:            "The request is malformed, or a field is; details names each",
	http.StatusUnauthorized:          "Token or session is missing or wrong",
	http.StatusForbidden:             "A change that another site's page asked for, or that the service desk does not allow",
	http.StatusNotFound:              "There is no such thing",
	http.StatusConflict:              "The present state does not allow this",
	http.StatusPreconditionFailed:    "The tenant was changed since; read it again",
	http.StatusPreconditionRequired:  "If-Match is missing",
	http.StatusRequestEntityTooLarge: "The body has more than 128 KiB",
	http.StatusUnsupportedMediaType:  "The body is not application/json",
	http.StatusTooManyRequests:       "Too many wrong tokens, or the other side limits our calls",
	http.StatusInternalServerError:   "An error of ours",
	http.StatusServiceUnavailable:    "The database or a service desk is away",
}

// refine corrects what the types cannot say: parts of a run that are null until it has got that far.
func refine(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	// huma notes down its own form of an error, which is never answered.
	delete(schemas, "RefusalError")
	for _, name := range []string{"context", "answer", "findings"} {
		p := schemas["EnhancementDetail"].Properties
		p[name] = &huma.Schema{AnyOf: []*huma.Schema{{Ref: p[name].Ref}, {Type: "null"}}, Description: "Null until the run has got that far"}
	}
	schemas["SourceReport"].Properties["duration"].Description = "In nanoseconds"
	schemas["EvidenceStorm"].Properties["window"].Description = "In nanoseconds"
}

// document serves the OpenAPI document and the page made of it.
func (a *api) document(group *echo.Group) error {
	asJSON, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("encode OpenAPI document: %w", err)
	}
	asYAML, err := a.huma.OpenAPI().YAML()
	if err != nil {
		return fmt.Errorf("encode OpenAPI document: %w", err)
	}
	page, err := renderPage(a.huma.OpenAPI())
	if err != nil {
		return err
	}
	for path, file := range map[string]struct {
		mime string
		body []byte
	}{
		"/openapi.json":   {"application/vnd.oai.openapi+json;version=3.1", asJSON},
		"/openapi.yaml":   {"application/vnd.oai.openapi;version=3.1", asYAML},
		"/docs":           {"text/html; charset=utf-8", page},
		"/docs/style.css": {"text/css; charset=utf-8", style},
	} {
		group.GET(path, func(c echo.Context) error { return c.Blob(http.StatusOK, file.mime, file.body) })
	}
	return nil
}

// merged lays a change over a JSON object, as RFC 7396 has it for objects: what the change names replaces, objects are merged.
func merged(base, change map[string]any) map[string]any {
	out := maps.Clone(base)
	for key, value := range change {
		inner, isObject := value.(map[string]any)
		if old, wasObject := out[key].(map[string]any); isObject && wasObject && !replacedWhole[key] {
			out[key] = merged(old, inner)
			continue
		}
		out[key] = value
	}
	return out
}

// replacedWhole are the objects of other systems, whose keys mean something together.
var replacedWhole = map[string]bool{"monitoring": true, "documentation": true}
