// Package migrations holds the numbered SQL pairs of our schema. River's own schema moves with its version in go.mod and
// is applied after ours by db.MigrateUp, under the same lock.
package migrations

import "embed"

// FS holds every NNNN_name.up.sql and NNNN_name.down.sql.
//
//go:embed *.sql
var FS embed.FS
