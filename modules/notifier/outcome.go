package notifier

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"aiagents/internal/egress"
	"aiagents/internal/fault"
)

// class says how a request to a desk failed. It decides both what the caller may do next and, for a write, whether the
// desk can have applied it.
type class string

const (
	notSent      class = "not_sent"     // the request never left: no route, no name, no TLS, no time left
	heldBack     class = "held_back"    // our own breaker or rate limit
	refused      class = "refused"      // by the egress policy
	limited      class = "limited"      // 429 or 4015
	badToken     class = "bad_token"    // an OAuth token that was refused in JSON; a new one may help
	unauthorized class = "unauthorized" // 401 or 4022
	forbidden    class = "forbidden"    // 403 or 4002
	missing      class = "missing"      // 404 or 4007
	rejected     class = "rejected"     // any other clear no
	wrongKey     class = "wrong_key"    // the envelope of notes has another name here
	moved        class = "moved"        // 307 or 308, which say that nothing was done
	strayed      class = "strayed"      // a web page with a 4xx: this is not the API
	serverError  class = "server_error" // 5xx or 4004
	lost         class = "lost"         // sent, and no usable answer
)

// applied tells whether a write that failed like this may still have taken effect.
func (c class) applied() bool { return c == serverError || c == lost }

// down tells whether the failure speaks against the desk's health, which the breaker counts.
func (c class) down() bool { return c == notSent || c.applied() || c == strayed }

// callError is a failed request. Its text has codes and field names of the desk's answer but none of its prose, which may
// quote the ticket.
type callError struct {
	class      class
	status     int
	code       int
	fields     []string
	retryAfter time.Duration
	cause      error
}

// Error implements error.
func (e *callError) Error() string {
	text := string(e.class)
	if e.status != 0 {
		text += fmt.Sprintf(", HTTP %d", e.status)
	}
	if e.code != 0 {
		text += fmt.Sprintf(", code %d", e.code)
	}
	if len(e.fields) > 0 {
		text += fmt.Sprintf(", fields %q", e.fields)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the transport's error.
func (e *callError) Unwrap() error { return e.cause }

// classOf returns the class of a failed request, and "" for any other error.
func classOf(err error) class {
	var e *callError
	if errors.As(err, &e) {
		return e.class
	}
	return ""
}

// maybeApplied reports whether a write that ended in err may have taken effect on the desk.
func maybeApplied(err error) bool { return classOf(err).applied() }

// asFault gives a failed request the kind that decides the job's fate, and a message with the way out.
func asFault(err error) error {
	var e *callError
	if !errors.As(err, &e) {
		return err
	}
	return e.fault().WithRetryAfter(e.retryAfter)
}

// withRetry says when the same call may work, for a fault that asFault just made.
func withRetry(err error, after time.Duration) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.WithRetryAfter(after)
	}
	return err
}

// fault words the failure for the operator who has to do something about it.
func (e *callError) fault() *fault.Error {
	switch e.class {
	case limited:
		return fault.Wrap(fault.Limited, e, "the service desk limits our requests")
	case badToken, unauthorized:
		return fault.Wrap(fault.Unauthenticated, e,
			"the service desk refuses the credentials: check the API key or the OAuth client of the tenant, and the portal").WithCode("DESK_UNAUTHORIZED")
	case forbidden:
		return fault.Wrap(fault.Forbidden, e,
			"the service desk does not allow this to the technician of the API key: check the technician's role").WithCode("DESK_FORBIDDEN")
	case missing:
		return fault.Wrap(fault.NotFound, e, "the service desk does not know this ticket or note")
	case rejected, wrongKey:
		return fault.Wrap(fault.Invalid, e, "the service desk rejects the request: "+e.short()).WithCode("DESK_REJECTED")
	case moved:
		return fault.Wrap(fault.Invalid, e,
			"the service desk redirects to another address, which is not followed: set its final URL").WithCode("DESK_MOVED")
	case refused:
		message := "the service desk's address is refused by the egress policy"
		var r *egress.RefusedError
		if errors.As(e.cause, &r) {
			message = "the service desk's address " + r.Error()
		}
		return fault.Wrap(fault.Forbidden, e, message).WithCode("EGRESS_REFUSED")
	case strayed:
		return fault.Wrap(fault.Unavailable, e, "the service desk answers with a web page: check its URL and portal").WithCode("DESK_STRAYED")
	case heldBack:
		return fault.Wrap(fault.Unavailable, e, "the service desk was down a moment ago and is left alone for now").WithCode("DESK_DOWN")
	case notSent:
		return fault.Wrap(fault.Unavailable, e, "the service desk cannot be reached: check its address, and that it runs").WithCode("DESK_UNAVAILABLE")
	default:
		return fault.Wrap(fault.Unavailable, e, "the service desk does not answer as it should").WithCode("DESK_UNAVAILABLE")
	}
}

func (e *callError) short() string {
	if e.code != 0 {
		return "code " + strconv.Itoa(e.code)
	}
	return "HTTP " + strconv.Itoa(e.status)
}

// Bounds of the waiting time that a desk asks for.
const (
	defaultRetryAfter = time.Minute
	maxRetryAfter     = 15 * time.Minute
)

// retryAfter reads the header in both of its forms; without one it is the minute in which the vendor counts.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	wait := defaultRetryAfter
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, time.Second), maxRetryAfter)
}
