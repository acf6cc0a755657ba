package servicedesk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// reply is an answer before it is sent, with the way it is to be mistreated.
type reply struct {
	status   int
	header   map[string]string
	mime     string
	body     []byte
	cut      bool          // close the connection instead
	truncate bool          // close the connection half way through the body
	drip     time.Duration // pause between bytes
}

// problem is one entry of response_status.messages and the HTTP status it comes with.
type problem struct {
	http    int
	code    int
	field   string
	message string
}

// The refusals without a field.
var (
	badKey     = problem{http.StatusUnauthorized, 4022, "", "Unauthorised: invalid key or token"}
	notAllowed = problem{http.StatusForbidden, 4002, "", "You are not allowed to do this operation"}
	noSuchURL  = problem{http.StatusNotFound, 4007, "", "Invalid URL or entity"}
)

// The builders below name the field by its path, as in note.description. All are HTTP
// 400 with the code the vendor's list gives for the case.
func extraKey(path string) *problem {
	return &problem{http.StatusBadRequest, 4001, path, "EXTRA_KEY_FOUND_IN_JSON"}
}

func missing(path string) *problem {
	return &problem{http.StatusBadRequest, 4012, path, "Mandatory field is missing"}
}

func wrongType(path, want string) *problem {
	return &problem{http.StatusBadRequest, 4021, path, "Type mismatch: " + want + " expected"}
}

func invalid(path, why string) *problem {
	return &problem{http.StatusBadRequest, 4001, path, why}
}

// jsonReply encodes with the charset the desk sends.
func jsonReply(status int, v any) *reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode reply: %v", err)) // only our own maps and strings
	}
	return &reply{status: status, mime: "application/json;charset=UTF-8", body: body}
}

// failure wraps a problem: 4000 outside, the telling code in messages.
func failure(p problem) *reply {
	message := map[string]any{"status_code": p.code, "type": "failed", "message": p.message}
	if p.field != "" {
		message["field"] = p.field
	}
	return jsonReply(p.http, map[string]any{"response_status": map[string]any{
		"status_code": 4000, "status": "failed", "messages": []any{message},
	}})
}

// tooMany leaves Retry-After out when there is no wait to tell, as older builds do.
func tooMany(wait time.Duration) *reply {
	rep := failure(problem{http.StatusTooManyRequests, 4015, "", "API rate limit reached"})
	if wait > 0 {
		rep.header = map[string]string{"Retry-After": retryAfter(wait)}
	}
	return rep
}

// serverError is 500 unless a gateway's status is wanted.
func serverError(status int) *reply {
	return failure(problem{cmp.Or(status, http.StatusInternalServerError), 4004, "", "Internal error"})
}

// htmlReply is what proxies, login pages and wrong portals send.
func htmlReply(status int, text string) *reply {
	page := "<!DOCTYPE html><html><head><title>ServiceDesk Plus</title></head><body><h1>" + text + "</h1></body></html>"
	return &reply{status: status, mime: "text/html;charset=UTF-8", body: []byte(page)}
}

// redirect keeps the method (307), so that a client that follows would post again.
func redirect(f Fault) *reply {
	rep := htmlReply(cmp.Or(f.Status, http.StatusTemporaryRedirect), "Moved")
	rep.header = map[string]string{"Location": f.Location}
	return rep
}

// succeeded is the response_status of everything that worked.
var succeeded = map[string]any{"status_code": 2000, "status": "success"}

// entity answers with one thing, where response_status is an object.
func entity(key string, v any) *reply {
	return jsonReply(http.StatusOK, map[string]any{key: v, "response_status": succeeded})
}

// listing answers with many, where response_status is an array except on older builds.
func (d *Desk) listing(key string, rows []map[string]any, info map[string]any) *reply {
	var status any = []any{succeeded}
	if d.opts.OlderBuild {
		status = succeeded
	}
	if rows == nil {
		rows = []map[string]any{}
	}
	return jsonReply(http.StatusOK, map[string]any{key: rows, "list_info": info, "response_status": status})
}

// send writes the reply; a cut is a closed connection, which is what net/http does
// on ErrAbortHandler.
func (rep *reply) send(w http.ResponseWriter, done <-chan struct{}) {
	if rep.cut {
		panic(http.ErrAbortHandler)
	}
	for k, v := range rep.header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Type", rep.mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	switch {
	case rep.truncate:
		_, _ = w.Write(rep.body[:len(rep.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case rep.drip > 0:
		drip(w, rep.body, rep.drip, done)
	default:
		_, _ = w.Write(rep.body)
	}
}

// drip sends byte by byte; a client needs a limit on the whole answer, not on silence.
func drip(w http.ResponseWriter, body []byte, pause time.Duration, done <-chan struct{}) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-done:
			panic(http.ErrAbortHandler)
		}
	}
}
