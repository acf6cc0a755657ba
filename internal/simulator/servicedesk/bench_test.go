package servicedesk_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

// BenchmarkAddNote measures the desk without a network, as load tests switch it.
func BenchmarkAddNote(b *testing.B) {
	desk, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: "k", CountersOnly: true})
	require.NoError(b, err)
	_, err = desk.AddTicket(servicedesk.Ticket{Subject: "x"})
	require.NoError(b, err)
	h := desk.Handler()
	body := form(`{"note":{"description":"<p><b>Likely:</b> disk full</p><ul><li>Purge logs</li></ul><p>Ref AIA-7F3K2Q9D</p>","show_to_requester":false}}`)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r := httptest.NewRequest(http.MethodPost, "/api/v3/requests/1/notes", strings.NewReader(body))
			r.Header = http.Header{"Accept": {accept}, "Authtoken": {"k"}, "Content-Type": {formType}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatal(w.Body.String())
			}
		}
	})
}

func BenchmarkGetRequest(b *testing.B) {
	desk, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: "k", CountersOnly: true})
	require.NoError(b, err)
	_, err = desk.AddTicket(servicedesk.Ticket{Subject: "x"})
	require.NoError(b, err)
	server := httptest.NewServer(desk.Handler())
	defer server.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, _ := http.NewRequest(http.MethodGet, server.URL+"/api/v3/requests/1", nil)
			r.Header = http.Header{"Accept": {accept}, "Authtoken": {"k"}}
			resp, err := server.Client().Do(r)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	})
}
