package servicedesk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// Entry is one line of the journal file. Kind is ticket, note, note_deleted or webhook.
type Entry struct {
	Kind    string         `json:"kind"`
	Time    time.Time      `json:"time"`
	Ticket  *Ticket        `json:"ticket,omitempty"`
	Note    *Note          `json:"note,omitempty"`
	Webhook *WebhookAnswer `json:"webhook,omitempty"`
}

// journal appends entries and returns once they are on disk. Writers that arrive
// during a sync share the next one. The nil journal keeps nothing.
type journal struct {
	mu       sync.Mutex
	idle     *sync.Cond
	file     *os.File
	pending  []byte
	queued   uint64
	synced   uint64
	flushing bool
	failed   error
}

// ReadJournal returns the entries of a journal file, also while a desk writes to
// it. A last line without its end was never acknowledged, and is left out.
func ReadJournal(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer func() { _ = f.Close() }()
	entries, _, err := readEntries(f)
	return entries, err
}

// readEntries also returns how many bytes whole lines take, which is where a desk that
// starts again has to continue.
func readEntries(r io.Reader) (entries []Entry, whole int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return entries, whole, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read journal: %w", err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, 0, fmt.Errorf("decode journal line %d: %w", len(entries)+1, err)
		}
		entries = append(entries, e)
		whole += int64(len(line))
	}
}

// openJournal replays what an earlier desk wrote, drops a torn last line and
// continues after it.
func (d *Desk) openJournal() error {
	f, err := os.OpenFile(d.opts.JournalFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	entries, whole, err := readEntries(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("replay journal: %w", err)
	}
	d.data.replay(entries)
	d.hooks.replay(entries)
	d.journal = &journal{file: f}
	d.journal.idle = sync.NewCond(&d.journal.mu)
	return nil
}

// replay rebuilds the store. Tickets come first: a note on a new ticket can reach the
// file before the ticket does.
func (s *store) replay(entries []Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if e.Ticket != nil {
			s.putTicket(*e.Ticket)
		}
	}
	for _, e := range entries {
		if e.Note != nil {
			s.replayNote(e)
		}
	}
}

// replayNote applies one note entry; called with the lock held.
func (s *store) replayNote(e Entry) {
	s.seen("note", e.Note.ID)
	t := s.tickets[e.Note.TicketID]
	if t == nil {
		return
	}
	i := slices.IndexFunc(t.notes, func(n *Note) bool { return n.ID == e.Note.ID })
	switch {
	case e.Kind == "note_deleted" && i >= 0:
		t.notes = slices.Delete(t.notes, i, i+1)
	case e.Kind == "note" && i >= 0:
		t.notes[i] = e.Note
	case e.Kind == "note":
		t.notes = append(t.notes, e.Note)
		t.Responded = t.Responded || e.Note.MarkFirstResponse
	}
	if e.Time.After(t.Updated) {
		t.Updated = e.Time
	}
}

// write returns when the entry is on disk. After a failed write every later one fails
// too: a journal with a hole must not look complete.
func (j *journal) write(e Entry) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode journal entry: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(append(j.pending, line...), '\n')
	j.queued++
	mine := j.queued
	for j.synced < mine && j.failed == nil {
		if j.flushing {
			j.idle.Wait()
			continue
		}
		j.flush()
	}
	return j.failed
}

// flush writes and syncs everything pending; called with the lock held, which it
// releases while the disk works.
func (j *journal) flush() {
	batch, upTo := j.pending, j.queued
	j.pending, j.flushing = nil, true
	j.mu.Unlock()
	_, err := j.file.Write(batch)
	if err == nil {
		err = j.file.Sync()
	}
	j.mu.Lock()
	if err != nil {
		j.failed = fmt.Errorf("write journal: %w", err)
	}
	j.synced, j.flushing = upTo, false
	j.idle.Broadcast()
}

// close waits for a sync under way. Entries after it are refused, not lost silently.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.flushing {
		j.idle.Wait()
	}
	if j.failed == nil {
		j.failed = errors.New("journal is closed")
		return j.file.Close()
	}
	return nil
}
