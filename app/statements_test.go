package app

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

// tally counts what each trace asks of the database.
type tally struct {
	mu     sync.Mutex
	traces map[trace.TraceID]*asked
}

// asked is one trace's share: times it waited for an answer, statements, and transactions.
type asked struct {
	roundTrips, transactions int
	statements               []string
}

func (c *tally) count(ctx context.Context, sql ...string) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := trace.SpanContextFromContext(ctx).TraceID()
	a := c.traces[id]
	if a == nil {
		a = &asked{}
		c.traces[id] = a
	}
	a.roundTrips++
	for i, s := range sql {
		// A batch that begins with the tenant is a transaction of its own, one behind a BEGIN is part of the begun one.
		if strings.EqualFold(s, "begin") || i == 0 && strings.Contains(s, "set_config") {
			a.transactions++
		}
		a.statements = append(a.statements, strings.Join(strings.Fields(s), " "))
	}
	return ctx
}

func (c *tally) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return c.count(ctx, d.SQL)
}

func (*tally) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *tally) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	sql := make([]string, len(d.Batch.QueuedQueries))
	for i, q := range d.Batch.QueuedQueries {
		sql[i] = q.SQL
	}
	return c.count(ctx, sql...)
}

func (*tally) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (*tally) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// What a ticket costs the database is counted, not timed: from its webhook to its completed job, with one similar ticket found
// and a model that answers. Whoever adds to it should know by how much, and raise the limits only for a reason.
func TestATicketAsksLittleOfTheDatabase(t *testing.T) {
	t.Parallel()
	counts := &tally{traces: map[trace.TraceID]*asked{}}
	h := newHarness(t, withModel(openai.Options{Respond: answerFromEvidence}), withConfig(func(c *Config) { c.Database.Tracer = counts }))
	acme := h.tenant("acme", nil, nil)
	past := "ticket_id,subject,description,resolution\n9001,VPN error 809,Cannot connect from home,Opened UDP port 500 on the router\n"
	code, _, errOut := h.cli(past, "tickets", "import", "-", "--format", "csv", "--tenant", "acme")
	require.Zero(t, code, errOut)
	send := func(id string) *asked {
		body := acme.body(id, "subject", "VPN error 809", "description", "Cannot connect from home")
		const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
		own := parent[:32-len(id)] + id
		a := h.post("/webhook/servicedesk", body, "X-ServiceDesk-Signature", hexMAC(acme.secret, body), "traceparent", "00-"+own+"-00f067aa0ba902b7-01")
		require.Equal(t, 202, a.status, a.body)
		acme.settled()
		traceID, err := trace.TraceIDFromHex(own)
		require.NoError(t, err)
		counts.mu.Lock()
		defer counts.mu.Unlock()
		require.NotNil(t, counts.traces[traceID], "nothing was counted")
		return counts.traces[traceID]
	}
	var got *asked
	for range 2 { // the first fills the caches of the process
		ticket, err := acme.desk.AddTicket(servicedesk.Ticket{Subject: "VPN error 809"})
		require.NoError(t, err)
		got = send(ticket.ID)
	}
	t.Logf("%d transactions, %d round trips, %d statements:\n%s", got.transactions, got.roundTrips, len(got.statements), strings.Join(got.statements, "\n"))
	require.LessOrEqual(t, got.transactions, 12)
	require.LessOrEqual(t, got.roundTrips, 30)
	require.LessOrEqual(t, len(got.statements), 48)
}
