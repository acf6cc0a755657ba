package db

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"aiagents/internal/fault"
)

// SQLSTATE codes that stores ask for by name.
const (
	UniqueViolation     = "23505"
	ForeignKeyViolation = "23503"
	CheckViolation      = "23514"
)

// HasSQLState reports whether err is a Postgres error with one of the codes.
func HasSQLState(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if pg.Code == code {
			return true
		}
	}
	return false
}

// classify turns the faults of the connection and of the server's resources into Unavailable, so that one kind tells every
// edge to answer 503 or to try again. An error that is a fault already keeps its kind.
func classify(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	if isUnavailable(err) {
		return fault.Wrap(fault.Unavailable, err, "the database is not available")
	}
	return err
}

func isUnavailable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "08", // connection exception
			"53", // insufficient resources: disk full, out of memory, too many connections
			"57", // operator intervention: shutdown, crash recovery, cancelled statement
			"58": // system error: I/O
			return true
		}
		switch pg.Code {
		case "40001", "40P01", // serialization failure, deadlock
			"55P03", // lock not available within lock_timeout
			"25P02", // in failed transaction
			"25006", // read-only: a failover left us on a standby
			"25P03": // idle-in-transaction timeout
			return true
		}
		return false
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	var netErr net.Error
	var connErr *pgconn.ConnectError
	return errors.As(err, &netErr) || errors.As(err, &connErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) // the server closed the connection
}
