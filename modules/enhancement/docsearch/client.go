package docsearch

import (
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

// maxAnswerBytes bounds an answer.
const maxAnswerBytes = 8 << 20

// client reads from one server. It can do nothing but GET. Its errors name host and path only.
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

// get decodes the JSON of a 2xx answer. Answers of 4xx and 5xx are faults by status.
func (c client) get(ctx context.Context, path string, query url.Values, answer any) error {
	target := c.base.JoinPath(path)
	target.RawQuery = query.Encode()
	where := target.Host + target.Path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return fault.New(fault.Invalid, "the documentation's address cannot be used: "+where)
	}
	request.Header = c.header.Clone()
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json")
	}
	request.Header.Set("User-Agent", "aiagents")
	response, err := c.http.Do(request)
	if err != nil {
		return fault.Wrap(fault.Unavailable, withoutURL(err), "the documentation does not answer: "+where)
	}
	defer func() { _ = response.Body.Close() }()
	if err := statusFault(response, where); err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return fault.Wrap(fault.Unavailable, withoutURL(err), "the documentation's answer broke off: "+where)
	}
	if len(raw) > maxAnswerBytes {
		return fault.Newf(fault.Unavailable, "the documentation's answer is larger than %d MiB: %s", maxAnswerBytes>>20, where)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fault.New(fault.Unavailable, "the documentation's answer is not the expected JSON: "+where)
	}
	return nil
}

func statusFault(response *http.Response, where string) error {
	switch status := response.StatusCode; {
	case status >= 200 && status <= 299:
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Newf(fault.Unauthenticated, "the documentation refuses the credential (HTTP %d): %s", status, where)
	case status == http.StatusTooManyRequests:
		return fault.New(fault.Limited, "the documentation's rate limit is used up: "+where).WithRetryAfter(retryAfter(response.Header))
	case status >= 500:
		return fault.Newf(fault.Unavailable, "the documentation fails (HTTP %d): %s", status, where)
	case status >= 300 && status <= 399:
		return fault.Newf(fault.Invalid, "the documentation redirects elsewhere (HTTP %d), configure its final address: %s", status, where)
	default:
		return fault.Newf(fault.Invalid, "the documentation refuses the request (HTTP %d): %s", status, where)
	}
}

func retryAfter(header http.Header) time.Duration {
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
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

// link makes an address out of what a provider gave. What would lead elsewhere than to a page is dropped.
func (s source) link(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return ""
	}
	if !u.IsAbs() && u.Host == "" {
		relative := *s.client.base.JoinPath(u.Path)
		relative.RawQuery, relative.Fragment = u.RawQuery, u.Fragment
		u = &relative
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	return u.String()
}

// number is an id that may come as text or as a number.
type number string

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*n = number(text)
		return nil
	}
	var value json.Number
	if err := json.Unmarshal(raw, &value); err != nil {
		return fmt.Errorf("an id is neither text nor number: %w", err)
	}
	*n = number(value)
	return nil
}
