package servicedesk_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func TestPages(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	id := c.ticket(servicedesk.Ticket{Subject: "Printer <b>3</b>", Description: "<p>Jam<script>alert(1)</script></p>"})
	c.note(id, "<p><strong>Likely:</strong> fuser</p>")
	_, err := c.desk.AddNote(servicedesk.Note{TicketID: id, Description: "Ask for a photo", ShowToRequester: true, Author: "Ada"})
	require.NoError(t, err)

	index := c.do("GET", "/", "", "")
	require.Equal(t, 200, index.status)
	require.Contains(t, index.text, `href="/tickets/`+id+`"`)
	require.Contains(t, index.text, "Printer &lt;b&gt;3&lt;/b&gt;")

	page := c.do("GET", "/tickets/"+id, "", "")
	require.Equal(t, 200, page.status)
	require.Contains(t, page.text, "<strong>Likely:</strong> fuser")
	require.Contains(t, page.text, "Private: technicians only")
	require.Contains(t, page.text, "Shown to requester")
	require.Contains(t, page.text, "prefers-color-scheme")
	require.NotContains(t, page.text, "alert(1)")
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, 404, c.do("GET", "/tickets/99", "", "").status)
	require.Len(t, c.desk.Requests(), 1, "looking at pages is no API call")
}

func TestEmptyIndex(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{})
	require.Contains(t, c.do("GET", "/", "", "").text, "No tickets yet")
}

func TestServe(t *testing.T) {
	t.Parallel()
	desk, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: "k"})
	require.NoError(t, err)
	_, err = servicedesk.Serve("0.0.0.0:0", desk)
	require.ErrorContains(t, err, "not loopback")
	server, err := servicedesk.Serve("127.0.0.1:0", desk)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(server.URL + "/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
	require.NoError(t, server.Close())
	_, err = client.Get(server.URL + "/")
	require.Error(t, err)
}
