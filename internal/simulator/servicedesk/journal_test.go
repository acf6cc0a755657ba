package servicedesk_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"aiagents/internal/simulator/servicedesk"
)

func TestJournalOutlivesTheDesk(t *testing.T) {
	t.Parallel()
	path, now := filepath.Join(t.TempDir(), "desk.jsonl"), newClock()
	c := start(t, servicedesk.Options{JournalFile: path, Clock: now.Now})
	id := c.ticket(servicedesk.Ticket{Subject: "Disk full"})
	c.desk.AddFault(servicedesk.Fault{Kind: servicedesk.CutAfterApply, Operation: servicedesk.NotesAdd, Times: 1})
	_, err := c.try(t.Context(), "POST", c.prefix+"/requests/"+id+"/notes", formType, form(`{"note":{"description":"one"}}`))
	require.Error(t, err)
	c.note(id, "two")
	c.note(id, "three")
	require.Equal(t, 200, c.do("DELETE", c.prefix+"/requests/"+id+"/notes/2", "", "").status)
	now.Add(time.Minute)
	require.Equal(t, 200, c.send("PUT", "/requests/"+id+"/notes/3", `{"note":{"description":"changed"}}`).status)

	entries, err := servicedesk.ReadJournal(path)
	require.NoError(t, err)
	kinds := ""
	for _, e := range entries {
		kinds += e.Kind + " "
	}
	require.Equal(t, "ticket note note note note_deleted note ", kinds)
	want := c.desk.Notes(id)
	require.NoError(t, c.desk.Close())

	// A torn last line is what a killed process leaves behind.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"kind":"note","no`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	again := start(t, servicedesk.Options{JournalFile: path})
	require.Equal(t, want, again.desk.Notes(id))
	tk, ok := again.desk.Ticket(id)
	require.True(t, ok)
	require.Equal(t, "Disk full", tk.Subject)
	require.Equal(t, want[1].Updated, tk.Updated)
	again.note(id, "four")
	require.Equal(t, "4", again.desk.Notes(id)[2].ID, "ids go on, also after deletions")
	entries, err = servicedesk.ReadJournal(path)
	require.NoError(t, err)
	require.Equal(t, "four", entries[len(entries)-1].Note.Description)
}

func TestJournalTakesConcurrentWriters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "desk.jsonl")
	c := start(t, servicedesk.Options{JournalFile: path})
	id := c.ticket(servicedesk.Ticket{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() { c.note(id, strconv.Itoa(i)) })
	}
	wg.Wait()
	entries, err := servicedesk.ReadJournal(path)
	require.NoError(t, err)
	require.Len(t, entries, 51)
}

func TestJournalThatCannotBeWrittenIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	c := start(t, servicedesk.Options{JournalFile: filepath.Join(t.TempDir(), "desk.jsonl")})
	id := c.ticket(servicedesk.Ticket{})
	require.NoError(t, c.desk.Close())
	require.Equal(t, 500, c.note(id, "x").status)
}

func TestJournalThatIsNoJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "desk.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("hello\n"), 0o600))
	_, err := servicedesk.New(servicedesk.Options{Edition: servicedesk.OnPrem, APIKey: "k", JournalFile: path})
	require.Error(t, err)
}
