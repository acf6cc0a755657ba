package fault

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind classifies a fault by what its receiver can do about it.
type Kind int

const (
	// Internal is everything unforeseen: logged with its cause, shown as a bare message.
	Internal Kind = iota
	// Invalid means the input is wrong and the same input will always be wrong.
	Invalid
	// Unauthenticated means the caller did not prove who they are.
	Unauthenticated
	// Forbidden means the caller is known and may not do this.
	Forbidden
	// NotFound means the named thing does not exist for this caller.
	NotFound
	// Conflict means the state of the thing does not allow the act now.
	Conflict
	// Limited means a rate or budget is used up; RetryAfter says when to come back.
	Limited
	// Unavailable means a dependency is away; the same call may work later.
	Unavailable
)

// String names the kind as logs and metrics spell it.
func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case Unauthenticated:
		return "unauthenticated"
	case Forbidden:
		return "forbidden"
	case NotFound:
		return "not_found"
	case Conflict:
		return "conflict"
	case Limited:
		return "limited"
	case Unavailable:
		return "unavailable"
	case Internal:
		return "internal"
	}
	return "internal"
}

// HTTPStatus is the status with which a fault of this kind is answered.
func (k Kind) HTTPStatus() int {
	//exhaustive:enforce
	switch k {
	case Invalid:
		return http.StatusBadRequest
	case Unauthenticated:
		return http.StatusUnauthorized
	case Forbidden:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case Limited:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	case Internal:
	}
	return http.StatusInternalServerError
}

// Error is a classified error. Message is public; the cause is for the log only.
type Error struct {
	Kind Kind
	// Code is the machine-readable code of the HTTP answer; empty takes the default of the kind.
	Code string
	// Message is shown to the caller and must name the way out where there is one.
	Message string
	// Details names each faulty field with what is wrong with it.
	Details map[string]string
	// RetryAfter is how long to wait before the same call may work; zero when unknown.
	RetryAfter time.Duration

	cause error
}

// New returns a fault with a public message.
func New(kind Kind, message string) *Error {
	return &Error{Kind: kind, Message: message}
}

// Newf is New with a formatted public message.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns a fault with a public message around a private cause.
func Wrap(kind Kind, cause error, message string) *Error {
	return &Error{Kind: kind, Message: message, cause: cause}
}

// WithCode sets the machine-readable code and returns the fault.
func (e *Error) WithCode(code string) *Error {
	e.Code = code
	return e
}

// WithDetails sets the faulty fields and returns the fault.
func (e *Error) WithDetails(details map[string]string) *Error {
	e.Details = details
	return e
}

// WithRetryAfter sets the waiting time and returns the fault.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// Error joins the public message and the private cause: it is meant for the log, never for an answer.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.cause.Error()
}

// Unwrap gives the private cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the outermost fault in err's chain, and Internal when there is none.
func KindOf(err error) Kind {
	var f *Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return Internal
}

// Is reports whether err is a fault of the kind.
func Is(err error, kind Kind) bool {
	var f *Error
	return errors.As(err, &f) && f.Kind == kind
}

// RetryAfterOf returns the waiting time that the fault names, or zero.
func RetryAfterOf(err error) time.Duration {
	var f *Error
	if errors.As(err, &f) {
		return f.RetryAfter
	}
	return 0
}
