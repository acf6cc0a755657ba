package app

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/app/demodata"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
	"aiagents/modules/enhancement/note"
	"aiagents/modules/enhancement/systems"
	"aiagents/modules/tenant"
)

// onboardSample makes a tenant of the sample data, with its past imported.
func onboardSample(t *testing.T, h *harness, data demodata.Tenant) *testTenant {
	t.Helper()
	options := servicedesk.Options{Edition: servicedesk.Edition(data.Edition)}
	for _, id := range demoAccounts(data) {
		options.Accounts = append(options.Accounts, servicedesk.Account{ID: id, Name: data.Name})
	}
	tt := h.tenant(data.ID, h.newDesk(options), func(in *tenant.CreateInput) {
		in.Edition, in.AccountIDs = data.Edition, demoAccounts(data)
	})
	format, err := ticketFormat("", data.TicketsFile)
	require.NoError(t, err)
	tickets, err := demodata.Files().Open(data.TicketsFile)
	require.NoError(t, err)
	defer tickets.Close()
	report, err := h.p.system.tickets.ImportTickets(t.Context(), data.ID, format, tickets, 0, nil)
	require.NoError(t, err)
	require.Empty(t, report.Errors)
	require.GreaterOrEqual(t, report.Added, 200)
	folder, err := fs.Sub(demodata.Files(), data.ArticlesDir)
	require.NoError(t, err)
	articles, err := h.p.system.tickets.ImportArticles(t.Context(), data.ID, "default", folder, nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, articles.Added, 40)
	inventory, err := demodata.Files().Open(data.InventoryFile)
	require.NoError(t, err)
	defer inventory.Close()
	hosts, err := h.p.system.inventory.Import(t.Context(), data.ID, inventory, systems.ImportOptions{}, nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, hosts.Added, 60)
	return tt
}

// requireNoteHolds checks a note against what the tenant's own data holds on the ticket.
func requireNoteHolds(t *testing.T, n servicedesk.Note, want demodata.Expectation) {
	t.Helper()
	text := note.TextOf(n.Description, 400)
	require.False(t, n.ShowToRequester || n.NotifyTechnician || n.MarkFirstResponse || n.AddToLinkedRequest, "all four flags are false")
	require.LessOrEqual(t, note.Words(text), 500)
	require.Regexp(t, `Ref AIA-[0-9A-Z]{12}`, text)
	if want.Nothing {
		require.NotContains(t, text, "T-2", "nothing is better than noise:\n%s", text)
		require.NotContains(t, text, "T-6", "nothing is better than noise:\n%s", text)
		return
	}
	require.True(t, slices.ContainsFunc(want.AnyTicketID, func(id string) bool { return strings.Contains(text, "T-"+id) }),
		"none of %v in:\n%s", want.AnyTicketID, text)
	require.Contains(t, text, want.ArticleTitle)
	require.Contains(t, text, want.Hostname)
}

// answerFromEvidence is a model that reads the evidence and answers with the first solved ticket, as a good one would.
func answerFromEvidence(r openai.Request) string {
	_, data, _ := strings.Cut(r.User(), "\n")
	data, _, _ = strings.Cut(data, "\nEND ")
	var given struct {
		Solved []struct{ ID, Subject, Resolution string } `json:"solved_tickets"`
	}
	if err := json.Unmarshal([]byte(data), &given); err != nil {
		return "the evidence is no JSON: " + err.Error()
	}
	type claim struct {
		Text string   `json:"text"`
		IDs  []string `json:"evidence_ids"`
	}
	type step struct {
		claim
		Safety string `json:"safety"`
	}
	answer := map[string]any{
		"verdict": "inconclusive", "likely_cause": claim{IDs: []string{}}, "alternatives": []claim{}, "evidence": []claim{},
		"steps": []step{}, "similar": []claim{},
	}
	if len(given.Solved) > 0 {
		best := given.Solved[0]
		cite := []string{best.ID}
		answer["verdict"] = "action_suggested"
		answer["likely_cause"] = claim{"Likely the same as before: " + best.Subject, cite}
		answer["evidence"] = []claim{{best.Subject, cite}}
		answer["steps"] = []step{{claim{"Check what was found then: " + best.Resolution, cite}, "read_only"}}
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestEachSampleTicketGetsTheRightNote(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]harnessOption{
		"by rules":   nil,
		"by a model": {withModel(openai.Options{Respond: answerFromEvidence})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, options...)
			tenants := map[string]*testTenant{}
			for _, data := range demodata.Tenants() {
				tenants[data.ID] = onboardSample(t, h, data)
			}
			for _, ticket := range demodata.NewTickets() {
				tt := tenants[ticket.TenantID]
				id := tt.file(servicedesk.Ticket{Subject: ticket.Subject, Description: htmlEscape(ticket.Description), Priority: ticket.Priority})
				got := tt.note(id)
				t.Run(ticket.Key, func(t *testing.T) { requireNoteHolds(t, got, ticket.Expect) })
				requireNothingForeign(t, got, ticket)
				require.Len(t, tt.desk.Notes(id), 1)
			}
		})
	}
}

// requireNothingForeign checks that no ticket id of the other tenant stands in the note; their ids never meet.
func requireNothingForeign(t *testing.T, n servicedesk.Note, ticket demodata.NewTicket) {
	t.Helper()
	foreign := "T-6" // the logistics tenant's ids begin with 6, the clinic's with 2
	if strings.HasPrefix(ticket.TenantID, "ridgeline") {
		foreign = "T-2"
	}
	require.NotContains(t, n.Description, foreign)
}

func TestOneTraceRunsFromTheWebhookToTheNote(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.add(servicedesk.Ticket{Subject: "VPN", Description: "error 809"})
	body := acme.body(id, "subject", "VPN", "description", "error 809")
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	a := h.post("/webhook/servicedesk", body, "X-ServiceDesk-Signature", hexMAC(acme.secret, body),
		"traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	acme.note(id)
	acme.settled()
	var names []string
	require.Eventually(t, func() bool {
		names = names[:0]
		for _, s := range h.spans.GetSpans() {
			if s.SpanContext.TraceID().String() == traceID {
				names = append(names, s.Name)
			}
		}
		return slices.Contains(names, "job enhance_ticket")
	}, patience, 20*time.Millisecond)
	for _, want := range []string{"gather similar_tickets", "gather knowledge", "gather inventory", "synthesise", "post note"} {
		require.Contains(t, names, want)
	}
}

func TestLogLinesCarryTheIdsAndNoTicketText(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.add(servicedesk.Ticket{Subject: "Zebrafink", Description: "Pelikanweg"})
	body := acme.body(id, "correlation_id", "corr-77", "subject", "Zebrafink", "description", "Pelikanweg")
	require.Equal(t, http.StatusAccepted, acme.send(body).status)
	acme.note(id)
	acme.settled()
	require.Eventually(t, func() bool { return strings.Contains(h.logs.String(), "enhancement completed") }, patience, 10*time.Millisecond)
	seen := 0
	for _, line := range strings.Split(strings.TrimSpace(h.logs.String()), "\n") {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		for _, key := range []string{"timestamp", "level", "message", "service", "environment"} {
			require.Contains(t, fields, key, line)
		}
		if m := fields["message"]; m == "webhook accepted" || m == "enhancement completed" {
			seen++
			require.Equal(t, "acme", fields["tenant_id"], line)
			require.Equal(t, id, fields["ticket_id"], line)
			require.Equal(t, "corr-77", fields["correlation_id"], line)
		}
	}
	require.Equal(t, 2, seen)
	require.NotContains(t, h.logs.String(), "Zebrafink")
	require.NotContains(t, h.logs.String(), "Pelikanweg")
}

func TestMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.file(servicedesk.Ticket{Subject: "VPN", Description: "error 809"})
	acme.note(id)
	acme.settled()
	metrics := h.metrics()
	for _, want := range []string{
		`aiagents_webhook_requests_total{answer="accepted",endpoint="event"} 1`,
		`aiagents_enhancements_total{outcome="facts_only"} 1`,
		`aiagents_enhancement_duration_seconds_bucket{outcome="facts_only",le="60"} 1`,
		`aiagents_enhancement_duration_seconds_bucket{outcome="facts_only",le="120"} 1`,
		`aiagents_enhancement_duration_seconds_bucket{outcome="facts_only",le="300"} 1`,
		`aiagents_queue_depth{state="available"} 0`,
		`aiagents_queue_oldest_job_age_seconds{state="available"} 0`,
		`aiagents_queue_up 1`,
	} {
		require.Contains(t, metrics, want)
	}
}

func TestResolvedTicketsFeedTheNextNote(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	resolved, err := json.Marshal(map[string]any{
		"tenant_id": "acme", "ticket_id": "900", "subject": "Badge printer Fargo HDP5000 ribbon error 112",
		"description":   "Fargo badge printer shows ribbon error 112 after the ribbon was changed",
		"resolution":    "Cleaned the ribbon sensor behind the cartridge and re-seated the ribbon; error 112 gone, printed ten badges.",
		"resolved_date": "2026-10-01T08:00:00Z", "tags": []string{"printer"},
	})
	require.NoError(t, err)
	a := h.post("/webhook/servicedesk/acme/resolved-ticket", resolved, "X-ServiceDesk-Token", acme.secret)
	require.Equal(t, http.StatusAccepted, a.status, a.body)
	again := h.post("/webhook/servicedesk/resolved-ticket", resolved, "X-ServiceDesk-Token", acme.secret)
	require.Contains(t, again.body, `"duplicate":true`)
	require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM ticket_history WHERE tenant_id = 'acme'`))

	id := acme.file(servicedesk.Ticket{Subject: "badge printer ribbon error 112", Description: "Fargo printer says ribbon error 112 again"})
	require.Contains(t, note.TextOf(acme.note(id).Description, 400), "Cleaned the ribbon sensor")
}

func TestAResolvedEventIsLearntFromTheDesk(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.add(servicedesk.Ticket{
		Subject: "Plotter offline", Description: "HP plotter offline since the switch change", Status: "Closed",
		Resolution: "Port was in the wrong VLAN after the switch change; set VLAN 40, plotter online.",
	})
	require.Equal(t, http.StatusAccepted, acme.send(acme.body(id, "event", "ticket_closed")).status)
	acme.settled()
	require.Equal(t, 1, scan[int](h, `SELECT count(*) FROM ticket_history WHERE tenant_id = 'acme' AND resolution LIKE '%VLAN 40%'`))
}

func TestARetriedNoteIsReplacedAndNotDoubled(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.file(servicedesk.Ticket{Subject: "VPN", Description: "error 809"})
	first := acme.note(id)
	acme.settled()
	run := scan[string](h, `SELECT id::text FROM enhancement_history WHERE tenant_id = 'acme'`)
	code, _, errOut := h.cli("", "enhancement", "retry", run, "--tenant", "acme")
	require.Zero(t, code, errOut)
	acme.settled()
	notes := acme.desk.Notes(id)
	require.Len(t, notes, 1)
	require.Equal(t, first.ID, notes[0].ID)

	code, out, _ := h.cli("", "enhancement", "show", run, "--tenant", "acme", "--output", "json")
	require.Zero(t, code)
	require.True(t, json.Valid([]byte(out)))
	require.Contains(t, out, `"outcome": "facts_only"`)
}

func TestThePreviewPostsAndKeepsNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	acme := h.tenant("acme", nil, nil)
	id := acme.add(servicedesk.Ticket{Subject: "VPN", Description: "error 809"})
	for _, args := range [][]string{{"--ticket-id", id}, {"--description", "VPN error 809"}} {
		code, out, errOut := h.cli("", append([]string{"enhancement", "preview", "--tenant", "acme"}, args...)...)
		require.Zero(t, code, errOut)
		require.Contains(t, out, previewMark)
	}
	require.Empty(t, acme.desk.Notes(id))
	require.Zero(t, scan[int](h, `SELECT count(*) FROM enhancement_history`))
}

const previewMark = "AIA-PREVIEW"

// teach gives the tenant a past ticket with its fix.
func (tt *testTenant) teach(ticketID, subject, resolution string) {
	tt.h.t.Helper()
	body, err := json.Marshal(map[string]string{
		"tenant_id": tt.id, "ticket_id": ticketID, "subject": subject, "description": subject, "resolution": resolution,
		"resolved_date": "2026-10-01T08:00:00Z",
	})
	require.NoError(tt.h.t, err)
	a := tt.h.post("/webhook/servicedesk/resolved-ticket", body, "X-ServiceDesk-Token", tt.secret)
	require.Equal(tt.h.t, http.StatusAccepted, a.status, a.body)
}

// add puts a ticket on the desk without a webhook.
func (tt *testTenant) add(ticket servicedesk.Ticket) string {
	tt.h.t.Helper()
	added, err := tt.desk.AddTicket(ticket)
	require.NoError(tt.h.t, err)
	return added.ID
}
