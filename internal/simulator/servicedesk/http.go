package servicedesk

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Operation names what a request asked for.
type Operation string

// The operations a desk knows. Faults and counts refer to them.
const (
	RequestsList   Operation = "requests.list"
	RequestsGet    Operation = "requests.get"
	RequestsCreate Operation = "requests.create"
	RequestsUpdate Operation = "requests.update"
	RequestsClose  Operation = "requests.close"
	NotesList      Operation = "notes.list"
	NotesGet       Operation = "notes.get"
	NotesAdd       Operation = "notes.add"
	NotesUpdate    Operation = "notes.update"
	NotesDelete    Operation = "notes.delete"
	ResolutionsGet Operation = "resolutions.get"
	ResolutionsAdd Operation = "resolutions.add"
	SolutionsList  Operation = "solutions.list"
	SolutionsGet   Operation = "solutions.get"
	AssetsList     Operation = "assets.list"
	AccountsList   Operation = "accounts.list"
	OAuthToken     Operation = "oauth.token"
	Unknown        Operation = "unknown"
)

// maxBody is what the desk's servlet container takes in a form post.
const maxBody = 2 << 20

// call is one request on its way through the desk.
type call struct {
	*http.Request
	body      string
	form      url.Values // query and form body together
	segments  []string   // path below the API prefix
	route     *route
	tech      Technician
	ticketID  string
	subID     string
	account   string
	modifiers []Fault
	struck    FaultKind
}

// op is Unknown for a path the API does not have.
func (c *call) op() Operation {
	if c.route == nil {
		return Unknown
	}
	return c.route.op
}

// route is one call of the API; patterns are matched by hand since the prefix differs by
// edition and refusals need the place before the method.
type route struct {
	method  string
	pattern []string // {} matches one id
	op      Operation
	handle  func(*Desk, *call) *reply
}

// on builds a route from a pattern such as requests/{}/notes.
func on(method, pattern string, op Operation, h func(*Desk, *call) *reply) *route {
	return &route{method: method, pattern: strings.Split(pattern, "/"), op: op, handle: h}
}

// v3Routes is the part of v3 an integration like ours needs; everything else is 404.
var v3Routes = []*route{
	on("GET", "requests", RequestsList, (*Desk).listRequests),
	on("POST", "requests", RequestsCreate, (*Desk).createRequest),
	on("GET", "requests/{}", RequestsGet, (*Desk).getRequest),
	on("PUT", "requests/{}", RequestsUpdate, (*Desk).updateRequest),
	on("PUT", "requests/{}/close", RequestsClose, (*Desk).closeRequest),
	on("GET", "requests/{}/notes", NotesList, (*Desk).listNotes),
	on("POST", "requests/{}/notes", NotesAdd, (*Desk).addNote),
	on("GET", "requests/{}/notes/{}", NotesGet, (*Desk).getNote),
	on("PUT", "requests/{}/notes/{}", NotesUpdate, (*Desk).updateNote),
	on("DELETE", "requests/{}/notes/{}", NotesDelete, (*Desk).deleteNote),
	on("GET", "requests/{}/resolutions", ResolutionsGet, (*Desk).getResolution),
	on("POST", "requests/{}/resolutions", ResolutionsAdd, (*Desk).addResolution),
	on("GET", "solutions", SolutionsList, (*Desk).listSolutions),
	on("GET", "solutions/{}", SolutionsGet, (*Desk).getSolution),
	on("GET", "assets", AssetsList, (*Desk).listAssets),
	on("GET", "workstations", AssetsList, (*Desk).listAssets),
	on("GET", "asset_assets", AssetsList, (*Desk).listAssets),
}

// Handler serves the API, the token endpoint (Cloud) and the pages.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.indexPage)
	mux.HandleFunc("GET /tickets/{id}", d.ticketPage)
	mux.HandleFunc("/", d.serve)
	return mux
}

// serve records a request before it is judged, so that the ledger also has those that
// stall, are refused or never get an answer.
func (d *Desk) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	c.body = string(body)
	d.locate(c)
	entry := d.ledger.begin(Request{
		Time: d.clock(), Operation: c.op(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: r.Header, Body: c.body, TicketID: c.ticketID, AccountID: c.account,
	})
	var rep *reply
	if err != nil {
		rep = htmlReply(http.StatusRequestEntityTooLarge, "Request entity too large")
	} else {
		rep = d.answer(c)
	}
	status := rep.status
	if rep.cut {
		status = 0
	}
	d.ledger.end(entry, status, c.struck)
	rep.send(w, d.done)
}

// locate finds the operation and the ids in the path. It never refuses: what it
// cannot place is answered after authentication, as on the real desk.
func (d *Desk) locate(c *call) {
	c.form = c.URL.Query()
	if c.Method != http.MethodGet && !d.opts.Edition.cloud() {
		delete(c.form, "input_data") // only Cloud takes a write's data from the query
	}
	if form := c.Header.Get("Content-Type"); strings.HasPrefix(form, "application/x-www-form-urlencoded") && c.Method != http.MethodGet {
		if sent, err := url.ParseQuery(c.body); err == nil {
			for k, v := range sent {
				c.form[k] = append(c.form[k], v...)
			}
		}
	}
	path, routes, ok := d.apiPath(c.URL.Path)
	if !ok {
		return
	}
	c.segments = strings.Split(path, "/")
	for _, r := range routes {
		if ids, ok := r.match(c.Method, c.segments); ok {
			c.route = r
			if len(ids) > 0 {
				c.ticketID = ids[0]
			}
			if len(ids) > 1 {
				c.subID = ids[1]
			}
		}
	}
	if c.route != nil && strings.HasPrefix(string(c.route.op), "solutions") {
		c.ticketID, c.subID = "", c.ticketID
	}
	if t, ok := d.data.ticket(c.ticketID); ok {
		c.account = t.AccountID
	}
}

// apiPath cuts the prefix off a path; ok is false outside the API.
func (d *Desk) apiPath(path string) (rest string, routes []*route, ok bool) {
	e := d.opts.Edition
	switch {
	case e == Generic:
		rest, ok = strings.CutPrefix(path, "/api/")
		return rest, genericRoutes, ok
	case e.cloud() && path == "/oauth/v2/token":
		return "token", tokenRoutes, true
	case e == MSPOnPrem && path == "/sdpapi/admin/account":
		return "account", accountRoutes, true
	}
	if d.opts.Portal != "" {
		if rest, ok = strings.CutPrefix(path, "/app/"+d.opts.Portal+"/api/v3/"); ok || e.cloud() {
			return rest, v3Routes, ok
		}
	}
	rest, ok = strings.CutPrefix(path, "/api/v3/")
	return rest, v3Routes, ok
}

// match returns the ids in the path, in order.
func (r *route) match(method string, segments []string) (ids []string, ok bool) {
	if r.method != method || len(r.pattern) != len(segments) {
		return nil, false
	}
	for i, p := range r.pattern {
		if p == "{}" && segments[i] != "" {
			ids = append(ids, segments[i])
		} else if p != segments[i] {
			return nil, false
		}
	}
	return ids, true
}

// answer takes a request through the checks in the order of the real desk: place,
// key, format, rate; then faults; then the operation itself.
func (d *Desk) answer(c *call) *reply {
	if c.segments == nil {
		return d.wrongPlace(c)
	}
	if refused := d.authenticate(c); refused != nil {
		return refused
	}
	if refused := d.checkFormat(c); refused != nil {
		return refused
	}
	if c.route == nil {
		return d.noRoute()
	}
	if wait, over := d.limits.over("rate "+string(c.op()), d.opts.RatePerMinute); over {
		return tooMany(wait)
	}
	fault, modifiers := d.faults.strike(c.op(), c.account, c.ticketID)
	c.modifiers = modifiers
	if fault == nil {
		return c.route.handle(d, c)
	}
	c.struck = fault.Kind
	return d.fail(c, *fault)
}

// noRoute answers an authenticated call to a path that does not exist.
func (d *Desk) noRoute() *reply {
	if d.opts.Edition == Generic {
		return genericFailure(http.StatusNotFound, "no such path")
	}
	return failure(noSuchURL)
}

// wrongPlace answers outside the API with a page instead of JSON, which is the trap
// Cloud sets for clients that refresh their token on every 401.
func (d *Desk) wrongPlace(c *call) *reply {
	if d.opts.Edition.cloud() && strings.HasPrefix(c.URL.Path, "/app/") {
		return htmlReply(http.StatusUnauthorized, "You are not authorised to access this portal")
	}
	if d.opts.Edition.cloud() {
		return htmlReply(http.StatusBadRequest, "Invalid URL")
	}
	return htmlReply(http.StatusNotFound, "The page you requested does not exist")
}

// checkFormat refuses what is not a v3 call. The token endpoint, the legacy API and
// Generic have formats of their own.
func (d *Desk) checkFormat(c *call) *reply {
	switch {
	case d.opts.Edition == Generic, c.op() == OAuthToken:
		return nil
	case c.op() == AccountsList:
		return c.onlyParams("TECHNICIAN_KEY", "format")
	case !d.acceptsV3(c.Header.Get("Accept")):
		return failure(problem{http.StatusBadRequest, 4001, "Accept", "Accept header must be application/vnd.manageengine.sdp.v3+json"})
	case d.opts.Edition.cloud():
		return c.onlyParams("input_data")
	}
	return c.onlyParams("input_data", "TECHNICIAN_KEY")
}

// acceptsV3 takes the documented media type, and on premises the short one of the
// vendor's migration note. A wildcard is not enough.
func (d *Desk) acceptsV3(accept string) bool {
	for _, t := range strings.Split(accept, ",") {
		t, _, _ = strings.Cut(strings.TrimSpace(t), ";")
		if t == "application/vnd.manageengine.sdp.v3+json" {
			return true
		}
		if t == "vnd.manageengine.v3+json" && !d.opts.Edition.cloud() {
			return true
		}
	}
	return false
}

// onlyParams refuses parameters the API does not know, in the query and in the form.
func (c *call) onlyParams(allowed ...string) *reply {
	for name := range c.form {
		known := false
		for _, a := range allowed {
			known = known || a == name
		}
		if !known {
			return failure(problem{http.StatusBadRequest, 4001, name, "EXTRA_PARAM_FOUND"})
		}
	}
	return nil
}

// fail plays one fault around the operation.
func (d *Desk) fail(c *call, f Fault) *reply {
	switch f.Kind {
	case ErrorBeforeApply:
		return serverError(f.Status)
	case CutBeforeApply:
		return &reply{cut: true}
	case Stall:
		d.wait(c, -1)
		return &reply{cut: true}
	case ApplyLate:
		return d.applyLate(c, f)
	case Unauthorized:
		return failure(badKey)
	case Forbidden:
		return failure(notAllowed)
	case NotFound:
		return failure(noSuchURL)
	case TooManyRequests:
		return tooMany(f.RetryAfter)
	case Redirect:
		return redirect(f)
	case HTMLPage:
		return htmlReply(http.StatusOK, "Please log in")
	}
	rep := c.route.handle(d, c)
	switch f.Kind {
	case ErrorAfterApply:
		return serverError(f.Status)
	case CutAfterApply:
		rep.cut = true
	case TruncateAnswer:
		rep.truncate = true
	case SlowDrip:
		rep.drip = f.Delay
	}
	return rep
}

// applyLate holds the change back: the caller waits along, or with a Status gets a
// gateway's error at once while the desk still works on it. The caller's leaving does
// not stop it, which is what makes a blind second POST a duplicate.
func (d *Desk) applyLate(c *call, f Fault) *reply {
	late := func() *reply {
		if !d.wait(nil, f.Delay) {
			return &reply{cut: true}
		}
		return c.route.handle(d, c)
	}
	if f.Status == 0 {
		return late()
	}
	d.background(func() { late() })
	return serverError(f.Status)
}

// wait blocks for the delay (for ever if negative), until the desk closes, or until
// the caller leaves if c is given. It reports whether the delay passed.
func (d *Desk) wait(c *call, delay time.Duration) bool {
	var left <-chan struct{}
	if c != nil {
		left = c.Context().Done()
	}
	var passed <-chan time.Time
	if delay >= 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return true
	case <-left:
	case <-d.done:
	}
	return false
}

// retryAfter rounds up: a client that waits exactly this long must be let in.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
