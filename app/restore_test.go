package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/db/dbtest"
	"aiagents/internal/simulator/servicedesk"
)

// A backup is restored in mid-course. One run that it holds as pending has its note by then; another is forgotten with its note,
// and its webhook comes again. The database notices that it is another one, and no ticket gets a second note.
func TestARestoredDatabaseWritesNoSecondNote(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		notes  int
	}{
		"as it is":     {func(*Config) {}, 1},
		"said by hand": {func(c *Config) { c.Notifier.VerifyAfterRestore, c.Notifier.VerifyBeforePost = 0, true }, 1},
		"switched off": {func(c *Config) { c.Notifier.VerifyAfterRestore = 0 }, 2}, // what it protects from
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve := newHarness(t, withRole("serve"))
			acme := serve.tenant("acme", nil, nil)
			pending := acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home since this morning"})
			forgotten := acme.add(servicedesk.Ticket{Subject: "Badge printer", Description: "The ribbon error 112 is back"})
			// Before the backup the program has run, so the database knows which one it is.
			_, known, err := serve.p.system.notes.Restored(t.Context())
			require.NoError(t, err)
			require.False(t, known)
			serve.stop()
			backup := dbtest.NewFrom(t, serve.db)

			h := newHarness(t, withDatabase(serve))
			acme.h = h
			require.Equal(t, 202, acme.send(acme.body(forgotten)).status)
			acme.note(pending)
			acme.note(forgotten)
			acme.settled()
			first := acme.desk.Notes(forgotten)[0]
			h.stop()

			serve.db = backup
			restored := newHarness(t, withDatabase(serve), withConfig(c.change))
			acme.h = restored
			require.Equal(t, 202, acme.send(acme.body(forgotten)).status)
			acme.settled()
			at, known, err := restored.p.system.notes.Restored(t.Context())
			require.NoError(t, err)
			require.True(t, known)
			require.WithinDuration(t, time.Now(), at, patience)
			require.Equal(t, 2, scan[int](restored, `SELECT count(*) FROM note_posts WHERE state = 'posted' AND note_id <> ''`))
			require.Len(t, acme.desk.Notes(pending), c.notes)
			require.Len(t, acme.desk.Notes(forgotten), c.notes)
			restored.doctor(t).require(t, findingOK, "database identity", "")
			if c.notes == 1 {
				require.Equal(t, first.ID, scan[string](restored, `SELECT note_id FROM enhancement_history WHERE ticket_id = $1`, forgotten))
				fresh := acme.add(servicedesk.Ticket{Subject: "Mail is slow", Description: "Outlook takes minutes to open"})
				require.Equal(t, 202, acme.send(acme.body(fresh)).status)
				acme.note(fresh)
				acme.settled()
				require.Len(t, acme.desk.Notes(fresh), 1, "a ticket without a note gets one")
			}
		})
	}
}
