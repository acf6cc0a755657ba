package systems

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"aiagents/internal/fault"
)

func TestImportForms(t *testing.T) {
	t.Parallel()
	want := []string{"address S-fs-01 10.0.0.1 <10.0.0.1>"}
	for name, file := range map[string]string{
		"plain":           "ip,hostname,role,location,os\n10.0.0.1,FS-01,file server,Rack 1,Debian\n",
		"any order":       "os,location,hostname,ip,role\nDebian,Rack 1,FS-01,10.0.0.1,file server\n",
		"byte order mark": "\xEF\xBB\xBFip,hostname,role,location,os\n10.0.0.1,FS-01,file server,Rack 1,Debian\n",
		"CRLF":            "ip,hostname,role,location,os\r\n10.0.0.1,FS-01,file server,Rack 1,Debian\r\n",
		"quoted":          "\"IP\",\" Hostname \",\"role\",\"location\",\"OS\"\n\"10.0.0.1\",\"FS-01\",\"file server\",\"Rack 1\",\"Debian\"\n",
		"semicolons":      "ip;hostname;role;location;os\n10.0.0.1;FS-01;file server;Rack 1;Debian\n;;;;\n",
		"tabs":            "ip\thostname\trole\tlocation\tos\n10.0.0.1\tFS-01\tfile server\tRack 1\tDebian",
		"JSONL":           `{"ip":"10.0.0.1","hostname":"FS-01","role":"file server","location":"Rack 1","os":"Debian"}` + "\n\n",
		"JSONL, metadata": `{"ip":"10.0.0.1","hostname":"FS-01","role":"file server","location":"Rack 1","metadata":{"os":"Debian"},"x":null}`,
		"mapped address":  "ip,hostname,role,location,os\n::ffff:10.0.0.1,FS-01,file server,Rack 1,Debian\n",
		"host with mask":  "ip,hostname,role,location,os\n10.0.0.1/24,FS-01,file server,Rack 1,Debian\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "acme", "")
			require.Equal(t, Report{Rows: 1, Added: 1}, b.load(t, "acme", file, ImportOptions{}))
			require.Equal(t, want, b.lookup(t, "acme", "10.0.0.1"))
			found, err := b.inventory.Lookup(t.Context(), "acme", "FS-01")
			require.NoError(t, err)
			require.Equal(t, "file server", found[0].Role)
			require.Equal(t, "Rack 1", found[0].Location)
			require.Equal(t, map[string]string{"os": "Debian"}, found[0].Metadata)
			require.Equal(t, Report{Rows: 1, Unchanged: 1}, b.load(t, "acme", file, ImportOptions{Prune: true}), "a second run adds nothing")
		})
	}
}

func TestImportReportsBadRowsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.7,STAYS-1\n")
	file := "ip,hostname,note\n" +
		"10.0.0.1,FS-01,\n" + // 2
		"10.0.0.999,FS-02,\n" + // 3
		",,only a note\n" + // 4
		"10.0.0.3,FS-03,a,b\n" + // 5
		"10.0.0.1,fs-01,again\n" + // 6
		"10.0.0.4,\"FS\x00-04\",\n" + // 7
		"10.0.0.5,FS-05,caf\xe9\n" + // 8
		"10.0.0.6,\"FS\"-06,\n" + // 9
		"10.0.0.8," + strings.Repeat("x", 254) + ",\n" + // 10
		"10.0.0.9,FS-09," + strings.Repeat("x", 1001) + "\n" + // 11
		"\"10.0.0.10\",\"FS-10\",\"two\nlines\"\n" + // 12 and 13
		"10.0.0.300,FS-11\n" // 14
	report := b.load(t, "acme", file, ImportOptions{Prune: true})
	var lines []int
	for _, e := range report.Errors {
		lines = append(lines, e.Line)
		require.NotEmpty(t, e.Reason)
	}
	require.Equal(t, []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 14}, lines)
	require.Equal(t, "line 3: ip: \"10.0.0.999\" is neither an IPv4 or IPv6 address nor a network such as 10.2.3.0/24", report.Errors[0].Error())
	require.Equal(t, 2, report.Added)
	require.Equal(t, 10, report.Rejected)
	require.NotEmpty(t, report.PruneSkipped, "nothing is retired on the strength of a file with bad rows")
	require.Equal(t, []string{"name S-stays-1 10.0.0.7 <STAYS-1>"}, b.lookup(t, "acme", "STAYS-1"))
}

func TestImportRefusesFilesItCannotRead(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "")
	for name, file := range map[string]string{
		"empty":             "",
		"only a mark":       "\xEF\xBB\xBF",
		"UTF-16":            "\xFF\xFEi\x00p\x00",
		"no known column":   "name,address\nx,y\n",
		"a column twice":    "ip,hostname,IP\n",
		"an open quote":     "ip,hostname\n10.0.0.1,\"" + strings.Repeat("x\n", maxRecordBytes),
		"a very long line":  `{"ip":"` + strings.Repeat("1", 2*maxRecordBytes),
		"a very long first": strings.Repeat("x", 2*maxRecordBytes),
	} {
		_, err := b.inventory.Import(t.Context(), "acme", strings.NewReader(file), ImportOptions{Prune: true}, nil)
		require.True(t, fault.Is(err, fault.Invalid), "%s: %v", name, err)
	}
	_, err := b.inventory.Import(t.Context(), "acme", iotest.ErrReader(io.ErrUnexpectedEOF), ImportOptions{}, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// A file that breaks off keeps what was read, says so, and never prunes.
func TestImportKeepsWhatWasReadBeforeAFailure(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.7,STAYS-1\n")
	rows := "ip,hostname\n"
	for i := range 250 {
		rows += fmt.Sprintf("10.0.1.%d,HOST-%d.corp.example\n", i, i)
	}
	file := io.MultiReader(strings.NewReader(rows), iotest.ErrReader(io.ErrUnexpectedEOF))
	report, err := b.inventory.Import(t.Context(), "acme", file, ImportOptions{Prune: true}, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 250, report.Added)
	require.Zero(t, report.Retired)
}

func TestImportEmptyFileNeverPrunes(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.7,STAYS-1\n")
	report := b.load(t, "acme", "ip,hostname\n", ImportOptions{Prune: true})
	require.Equal(t, Report{PruneSkipped: "the file has no host"}, report)
}

func TestImportManyRows(t *testing.T) {
	t.Parallel()
	const n = 2*importBatch + 7
	b := setup(t, "acme", "")
	file := func(rows int, role string) io.Reader {
		var buffer bytes.Buffer
		buffer.WriteString("ip,hostname,role\n")
		for i := range rows {
			fmt.Fprintf(&buffer, "10.0.%d.%d,HOST-%d,%s\n", i/256, i%256, i, role)
		}
		return &buffer
	}
	var seen []int
	report, err := b.inventory.Import(t.Context(), "acme", file(n, "server"), ImportOptions{}, func(r Report) { seen = append(seen, r.Added) })
	require.NoError(t, err)
	require.Equal(t, Report{Rows: n, Added: n}, report)
	require.Equal(t, []int{importBatch, 2 * importBatch, n}, seen)

	report, err = b.inventory.Import(t.Context(), "acme", file(n-1007+1000, "printer"), ImportOptions{Prune: true}, nil)
	require.NoError(t, err)
	require.Equal(t, Report{Rows: n - 7, Changed: n - 7, Retired: 7}, report)
}

// Rows that somebody else writes during an import are newer than the import and outlive its pruning.
func TestPruneSparesWhatCameLater(t *testing.T) {
	t.Parallel()
	b := setup(t, "acme", "ip,hostname\n10.0.0.7,OLD-1\n")
	other := readerFunc(func() { b.load(t, "acme", "ip,hostname\n10.0.0.8,NEW-1\n", ImportOptions{}) })
	report, err := b.inventory.Import(t.Context(), "acme",
		io.MultiReader(strings.NewReader("ip,hostname\n10.0.0.1,FS-01\n"), other), ImportOptions{Prune: true}, nil)
	require.NoError(t, err)
	require.Equal(t, Report{Rows: 1, Added: 1, Retired: 1}, report)
	require.Equal(t, []string{"name S-new-1 10.0.0.8 <NEW-1>", "name S-old-1 10.0.0.7 <OLD-1> retired"}, b.lookup(t, "acme", "NEW-1, OLD-1"))
}

// readerFunc runs once and is empty.
type readerFunc func()

func (f readerFunc) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func FuzzImportRows(f *testing.F) {
	f.Add("ip,hostname\n10.0.0.1,FS-01\n")
	f.Add(sample)
	f.Add(`{"ip":"10.0.0.1","a":[1,{"b":null}]}` + "\n{")
	f.Add("ip;hostname\n\"10.0.0.1;x\n")
	f.Fuzz(func(t *testing.T, file string) {
		source, err := openSource(strings.NewReader(file))
		if err != nil {
			return
		}
		for range len(file) + 2 {
			h, err := source.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				continue
			}
			require.True(t, h.ip != nil || h.key != "")
			require.Equal(t, h.key, nameKey(h.hostname))
			require.NotContains(t, h.hostname+h.role+h.location+h.metadataJSON, "\x00")
		}
		t.Fatal("the source does not end")
	})
}
