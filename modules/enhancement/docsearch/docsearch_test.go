package docsearch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

func (f *fakeProvider) Search(ctx context.Context, _ []string) ([]evidence.Article, error) {
	f.calls.Add(1)
	if f.name == "slow" {
		<-ctx.Done()
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "the documentation does not answer")
	}
	return f.found, f.err
}

// search asks the providers for the ticket of these tests.
func search(t *testing.T, s *Searcher, tenantID string, providers ...Provider) ([]string, error) {
	t.Helper()
	found, err := s.Search(t.Context(), tenantID, providers, ticket)
	var ids []string
	for _, a := range found {
		ids = append(ids, a.ID)
	}
	return ids, err
}

func TestTheBestOfAllProvidersWhateverBecomesOfOne(t *testing.T) {
	t.Parallel()
	one := (&fakeProvider{name: "one", key: "1"}).article("KB-A", .5).article("KB-B", .2).article("KB-C", .75)
	two := (&fakeProvider{name: "two", key: "2"}).article("KB-D", .5).article("KB-C", .5).article("KB-E", 1)
	broken := &fakeProvider{name: "broken", key: "3", err: fault.New(fault.Unavailable, "the documentation does not answer: docs.example/api/search")}
	ids, err := search(t, New(time.Now), "acme", one, broken, two)
	require.Equal(t, []string{"KB-E", "KB-C", "KB-A"}, ids, "by score, without those that have too little in common")
	require.ErrorContains(t, err, "search broken: ")
	require.True(t, fault.Is(err, fault.Unavailable), "its public message is for the note")

	none, err := New(time.Now).Search(t.Context(), "acme", []Provider{one}, evidence.Ticket{Subject: "Help!", Description: "It does not work."})
	require.NoError(t, err)
	require.Empty(t, none, "nothing to search for")
	require.EqualValues(t, 1, one.calls.Load())
}

func TestASlowProviderEndsWithTheTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	fast := (&fakeProvider{name: "fast", key: "1"}).article("KB-A", 1)
	found, err := New(time.Now).Search(ctx, "acme", []Provider{&fakeProvider{name: "slow", key: "2"}, fast}, ticket)
	require.Len(t, found, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestResultsAreKeptAnHourForOneTenantAndConfiguration(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := New(func() time.Time { return now })
	p := (&fakeProvider{name: "one", key: "1"}).article("KB-A", 1)
	calls := func(tenantID string, p *fakeProvider) int64 {
		before := p.calls.Load()
		ids, err := search(t, s, tenantID, p)
		require.NoError(t, err)
		require.Equal(t, []string{"KB-A"}, ids)
		return p.calls.Load() - before
	}
	require.EqualValues(t, 1, calls("acme", p))
	require.EqualValues(t, 0, calls("acme", p))
	require.EqualValues(t, 1, calls("other", p), "another tenant")
	other := (&fakeProvider{name: "one", key: "2"}).article("KB-A", 1)
	require.EqualValues(t, 1, calls("acme", other), "another configuration")
	_, err := s.Search(t.Context(), "acme", []Provider{p}, evidence.Ticket{Subject: "Outlook crashes"})
	require.NoError(t, err)
	require.EqualValues(t, 3, p.calls.Load(), "another query")
	now = now.Add(CacheTime)
	require.EqualValues(t, 1, calls("acme", p), "after an hour")

	failing := &fakeProvider{name: "failing", key: "3", err: errors.New("away")}
	for range 2 {
		_, err := search(t, s, "acme", failing)
		require.Error(t, err)
	}
	require.EqualValues(t, 2, failing.calls.Load(), "a failure is not kept")
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := newCache(func() time.Time { return now })
	for i := range maxCached + 10 {
		c.put(cacheKey{tenantID: fmt.Sprint(i)}, nil)
	}
	require.Len(t, c.entries, maxCached)
	_, ok := c.get(cacheKey{tenantID: fmt.Sprint(maxCached + 9)})
	require.True(t, ok, "the newest is there")
	now = now.Add(CacheTime)
	c.put(cacheKey{tenantID: "new"}, nil)
	require.Len(t, c.entries, 1, "what has expired goes first")
}

func TestKeywords(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ticket evidence.Ticket
		want   []string
	}{
		"identifiers first": {ticket, words},
		"numbers with a meaning only": {
			evidence.Ticket{Subject: "Event ID 4625 on DC01", Description: "Call me at 0171 2345678 since 2026-11-23, error code: 1603, version 14.0.2"},
			[]string{"DC01", "4625", "1603"},
		},
		"nobody's address, name or secret": {
			evidence.Ticket{
				Subject: "Outlook asks for credentials", Requester: "Mustermann, Erika",
				Description: "Dear John,\nErika cannot open https://intra.acme.example/token=abc or mail erika@acme.example.\nPassword: Winter2026!\nKind regards,\nErika Mustermann\nAcme GmbH",
			},
			[]string{"Outlook", "credentials", "asks", "Password"},
		},
		"German": {
			evidence.Ticket{Subject: "Drucker druckt nicht", Description: "Hallo zusammen,\nseit heute meldet der Spooler auf PRN-07 einen Fehler.\nMit freundlichen Grüßen\nMax"},
			[]string{"PRN-07", "Drucker", "Spooler", "druckt"},
		},
		"after the greeting": {evidence.Ticket{Description: "Hi Anna-Lena Weber, Teams crashes"}, []string{"Teams", "crashes"}},
		"no greeting":        {evidence.Ticket{Subject: "Highlighting in Word slow"}, []string{"Word", "Highlighting", "slow"}},
		"markup":             {evidence.Ticket{Subject: "Teams", Description: "<div><b>SharePoint</b>&nbsp;sync <script>evilScript()</script></div>"}, []string{"SharePoint", "Teams", "sync"}},
		"query syntax":       {evidence.Ticket{Subject: `foo" OR type=page) AND (x\y*`}, []string{"type", "page"}},
		"nothing":            {evidence.Ticket{Subject: "Help", Description: "It is not working"}, nil},
	} {
		got := Keywords(test.ticket)
		if len(test.want) == 0 {
			require.Empty(t, got, name)
			continue
		}
		require.Equal(t, test.want, got, name)
	}
	many := Keywords(evidence.Ticket{Description: strings.Repeat("KB5034441 KB5034442 KB5034443 KB5034444 KB5034445 KB5034446 KB5034447 KB5034448 KB5034449 ", 200)})
	require.Len(t, many, maxKeywords)
	require.Equal(t, "KB5034441", many[0], "the first of equals")
}

func FuzzKeywords(f *testing.F) {
	f.Add("VPN drops with error 0x80070005", "a@b.example https://x.example \"\\ <b>")
	f.Fuzz(func(t *testing.T, subject, description string) {
		words := Keywords(evidence.Ticket{Subject: subject, Description: description})
		if len(words) > maxKeywords {
			t.Fatalf("%d keywords", len(words))
		}
		for _, w := range words {
			if strings.ContainsFunc(w, separates) || w == "" {
				t.Fatalf("%q may mean something to a query language", w)
			}
		}
	})
}

func TestExcerptIsThePassageWithMostKeywords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 200) + "VPN and FortiClient fail " + strings.Repeat("word ", 200)
	require.Equal(t, "VPN down\nRestart FortiClient", excerpt("General\n"+strings.Repeat("x", 290)+"\nVPN down\nRestart FortiClient", words))
	found := excerpt(long, words)
	require.LessOrEqual(t, len(found), maxExcerpt)
	require.Contains(t, found, "VPN and FortiClient fail")
	require.Empty(t, excerpt("", words))
	cutSecret := excerpt("FortiClient VPN "+strings.Repeat("x", 270)+" password: Sup3rS3cret!Value", words)
	require.NotContains(t, cutSecret, "Sup3r")
	require.Equal(t, "ü", cut("üü", 3))
}
