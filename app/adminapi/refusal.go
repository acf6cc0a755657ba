package adminapi

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"aiagents/internal/fault"
)

// RefusalError is an error as it is answered. It is a huma.StatusError.
type RefusalError struct {
	Status     int
	Code       string
	Message    string
	Details    map[string]string
	RetryAfter time.Duration
}

// refusalBody is the product's one shape of an error.
type refusalBody struct {
	Status string        `json:"status" enum:"error"`
	Error  refusalDetail `json:"error"`
}

type refusalDetail struct {
	Code    string            `json:"code" doc:"Stable, for programs" example:"INVALID_REQUEST"`
	Message string            `json:"message" doc:"For people, with the way out where there is one"`
	Details map[string]string `json:"details,omitempty" doc:"Each faulty field with what is wrong with it"`
}

// Error is the public message.
func (r RefusalError) Error() string { return r.Message }

// GetStatus is the HTTP status.
func (r RefusalError) GetStatus() int { return r.Status }

// GetHeaders adds Retry-After where it is known.
func (r RefusalError) GetHeaders() http.Header {
	if r.RetryAfter <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds())))}}
}

// MarshalJSON gives the one shape.
func (r RefusalError) MarshalJSON() ([]byte, error) {
	return json.Marshal(refusalBody{
		Status: "error", Error: refusalDetail{Code: r.Code, Message: r.Message, Details: r.Details},
	})
}

// huma makes its own refusals through these variables; nothing else in the program uses it.
func init() {
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
	huma.NewError = func(status int, message string, _ ...error) huma.StatusError {
		return RefusalError{Status: status, Message: message}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		c := humaecho.Unwrap(ctx)
		a, ok := c.Get(contextAPI).(*api)
		if !ok {
			return huma.NewError(status, message)
		}
		return a.Refuse(c, faultOf(status, errs))
	}
}

// faultOf turns what the decoder found into a fault. The value that was found is left out: it may be a secret.
func faultOf(status int, errs []error) error {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return fault.New(fault.Invalid, "the body has more than 128 KiB").WithCode("PAYLOAD_TOO_LARGE")
	case http.StatusUnsupportedMediaType:
		return fault.New(fault.Invalid, "the body must be application/json").WithCode("UNSUPPORTED_MEDIA_TYPE")
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestTimeout:
	default:
		return fault.Wrap(fault.Internal, errors.Join(errs...), "the request could not be handled")
	}
	details := map[string]string{}
	for _, err := range errs {
		var d *huma.ErrorDetail
		if !errors.As(err, &d) {
			details["body"] = "must be a JSON object"
			continue
		}
		field := d.Location
		for _, place := range []string{"body.", "query.", "path.", "header."} {
			field = strings.TrimPrefix(field, place)
		}
		details[field] = d.Message
	}
	if len(errs) == 0 {
		details["body"] = "is required: a JSON object"
	}
	return fault.New(fault.Invalid, "the request cannot be used as it is").WithDetails(details)
}
