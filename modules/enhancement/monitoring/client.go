package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"aiagents/internal/fault"
)

// maxAnswerBytes bounds an answer; a monitoring server that sends more is asked a narrower question, not read.
const maxAnswerBytes = 8 << 20

// client speaks to one server. Its errors name method, host and path only.
type client struct {
	http   *http.Client
	base   *url.URL
	header http.Header
}

// newClient refuses redirects: they would carry credentials to a place that nobody configured.
func newClient(injected *http.Client, base *url.URL, header http.Header) client {
	c := *injected
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client{http: &c, base: base, header: header}
}

func (c client) get(ctx context.Context, path string, query url.Values, answer any) error {
	return c.do(ctx, http.MethodGet, path, query, "", nil, answer)
}

func (c client) postForm(ctx context.Context, path string, form url.Values, answer any) error {
	return c.do(ctx, http.MethodPost, path, nil, "application/x-www-form-urlencoded", []byte(form.Encode()), answer)
}

// do sends the request and decodes the JSON of a 2xx answer. Answers of 4xx and 5xx are faults by status.
func (c client) do(ctx context.Context, method, path string, query url.Values, contentType string, body []byte, answer any) error {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	where := fmt.Sprintf("%s %s%s", method, target.Host, target.Path)
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, "the monitoring address cannot be used: "+where)
	}
	request.Header = c.header.Clone()
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "aiagents")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fault.Wrap(fault.Unavailable, withoutURL(err), "monitoring does not answer: "+where)
	}
	defer func() { _ = response.Body.Close() }()
	if err := statusFault(response, where); err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return fault.Wrap(fault.Unavailable, withoutURL(err), "monitoring's answer broke off: "+where)
	}
	if len(raw) > maxAnswerBytes {
		return fault.Newf(fault.Unavailable, "monitoring's answer is larger than %d MiB: %s", maxAnswerBytes>>20, where)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fault.New(fault.Unavailable, "monitoring's answer is not the expected JSON: "+where)
	}
	return nil
}

func statusFault(response *http.Response, where string) error {
	switch status := response.StatusCode; {
	case status >= 200 && status <= 299:
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Newf(fault.Unauthenticated, "monitoring refuses the credential (HTTP %d): %s", status, where)
	case status == http.StatusTooManyRequests:
		return fault.Newf(fault.Limited, "monitoring's rate limit is used up: %s", where).WithRetryAfter(retryAfter(response.Header))
	case status >= 500:
		return fault.Newf(fault.Unavailable, "monitoring fails (HTTP %d): %s", status, where)
	case status >= 300 && status <= 399:
		return fault.Newf(fault.Invalid, "monitoring redirects elsewhere (HTTP %d), configure its final address: %s", status, where)
	default:
		return fault.Newf(fault.Invalid, "monitoring refuses the request (HTTP %d): %s", status, where)
	}
}

// retryAfter reads seconds from the usual header, or from Datadog's.
func retryAfter(header http.Header) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset"} {
		if seconds, err := strconv.Atoi(header.Get(name)); err == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
	}
	return 0
}

// withoutURL drops the address that net/http puts around its errors, with its query string.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
