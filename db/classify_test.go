package db_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/fault"
)

// relay passes connections on to a server until cut, which closes them in order, as a proxy or a failover does.
func relay(t *testing.T, target string) (addr string, cut func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cutting := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(server, client) }()
		go func() { _, _ = io.Copy(client, server) }()
		<-cutting
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), func() { close(cutting); <-done }
}

// A connection that is closed in order says no more than that it ended, in the middle of an answer; what was asked may be
// tried again all the same.
func TestAConnectionThatIsClosedIsAnOutage(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"statement": func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		},
		"batch": func(ctx context.Context, tx pgx.Tx) error {
			b := &pgx.Batch{}
			b.Queue(`SELECT 2`)
			return tx.SendBatch(ctx, b).Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(dbtest.NewUnopened(t).AppURL)
			require.NoError(t, err)
			addr, cut := relay(t, u.Host)
			u.Host = addr
			d := open(t, u.String(), 1)
			err = d.InTenantTx(t.Context(), "acme", func(ctx context.Context, tx pgx.Tx) error {
				cut()
				return act(ctx, tx)
			})
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
		})
	}
}
