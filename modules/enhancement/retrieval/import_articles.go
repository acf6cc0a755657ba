package retrieval

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"aiagents/internal/fault"
)

const (
	maxArticleFile = 5 << 20
	articleBatch   = 50
)

// articleReaders turn the content of a file into a title, empty where it has none, and sections.
var articleReaders = map[string]func(string) (string, []Section){
	".md": SectionsFromMarkdown, ".markdown": SectionsFromMarkdown,
	".html": SectionsFromHTML, ".htm": SectionsFromHTML,
	".txt": sectionsFromText,
}

// ImportArticles stores the Markdown, HTML and text files of a folder and of its sub-folders as articles of a collection,
// and removes from the collection what is no longer in the folder. Files that did not change are not touched.
//
// A file that cannot be read or is too large is reported, and what an earlier run stored of it stays. A folder without a
// single article is refused before anything is removed: it is more likely a wrong path than an emptied library.
func (s *Store) ImportArticles(ctx context.Context, tenantID, collection string, folder fs.FS, progress Progress) (Report, error) {
	var report Report
	files, total, err := articleFiles(folder, &report)
	if err != nil {
		return report, fmt.Errorf("import articles: %w", err)
	}
	if len(files) == 0 {
		return report, fault.New(fault.Invalid, "the folder has no .md, .markdown, .html, .htm or .txt file: nothing was imported or removed")
	}
	var done int64
	var ids []string
	for chunk := range slices.Chunk(files, articleBatch) {
		var batch []Article
		for _, f := range chunk {
			done += f.size
			id := collection + "/" + f.path
			ids = append(ids, id)
			article, err := readArticle(folder, f)
			if err != nil {
				report.reject(RowError{File: f.path, Reason: err.Error()})
				continue
			}
			article.ID, article.Collection, article.Source = id, collection, "import"
			batch = append(batch, article)
		}
		change, err := s.UpsertArticles(ctx, tenantID, batch)
		if err != nil {
			return report, fmt.Errorf("import articles: %w", err)
		}
		report.count(change)
		if progress != nil {
			progress(done, total)
		}
	}
	report.Removed, err = s.KeepArticles(ctx, tenantID, collection, ids)
	return report, err
}

type articleFile struct {
	path string
	size int64
}

// articleFiles lists the files to read. Hidden ones, links and other formats are left out; the latter are counted.
func articleFiles(folder fs.FS, report *Report) (files []articleFile, total int64, err error) {
	others := 0
	err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && name != "."
		switch {
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir() || hidden || !entry.Type().IsRegular():
			return nil
		case articleReaders[strings.ToLower(path.Ext(name))] == nil:
			others++
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files = append(files, articleFile{name, info.Size()})
		total += info.Size()
		return nil
	})
	if others > 0 {
		report.warn("left out %d files that are not .md, .markdown, .html, .htm or .txt", others)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fault.New(fault.NotFound, "the folder does not exist")
	}
	return files, total, err
}

func readArticle(folder fs.FS, f articleFile) (Article, error) {
	file, err := folder.Open(f.path)
	if err != nil {
		return Article{}, errors.New("cannot be opened")
	}
	defer func() { _ = file.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(file, maxArticleFile+1))
	if err != nil {
		return Article{}, errors.New("cannot be read")
	}
	if len(data) > maxArticleFile {
		return Article{}, fmt.Errorf("is larger than %d MiB", maxArticleFile>>20)
	}
	title, sections := articleReaders[strings.ToLower(path.Ext(f.path))](cleanText(string(data)))
	if len(sections) == 0 {
		return Article{}, errors.New("has no text")
	}
	if title == "" {
		title = titleFromName(f.path)
	}
	return Article{Title: title, Sections: sections}, nil
}

// titleFromName makes "vpn-setup_guide.md" into "vpn setup guide".
func titleFromName(name string) string {
	base := path.Base(name)
	base = strings.TrimSuffix(base, path.Ext(base))
	if title := oneLine(strings.NewReplacer("-", " ", "_", " ").Replace(base)); title != "" {
		return title
	}
	return base
}

// sectionBuilder gathers lines under headings. The first top-level heading is the title.
type sectionBuilder struct {
	title    string
	heading  string
	body     strings.Builder
	sections []Section
}

func (b *sectionBuilder) head(level int, text string) {
	b.flush()
	if b.title == "" && level == 1 && len(b.sections) == 0 {
		b.title = text
		return
	}
	b.heading = text
}

func (b *sectionBuilder) flush() {
	if content := strings.TrimSpace(b.body.String()); content != "" {
		b.sections = append(b.sections, Section{Heading: b.heading, Content: content})
	}
	b.heading = ""
	b.body.Reset()
}

var (
	markdownHeading = regexp.MustCompile(`^ {0,3}(#{1,3})\s+(.+?)\s*#*\s*$`)
	markdownLink    = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// SectionsFromMarkdown splits a Markdown text at its headings of the first three levels. Front matter is left out, and what
// is in a code fence is no heading.
func SectionsFromMarkdown(text string) (string, []Section) {
	text = withoutFrontMatter(strings.ReplaceAll(text, "\r\n", "\n"))
	var b sectionBuilder
	fence := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
		default:
			line = markdownLink.ReplaceAllString(line, "$1")
			if m := markdownHeading.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
				b.head(len(m[1]), m[2])
				continue
			}
		}
		b.body.WriteString(line)
	}
	b.flush()
	return b.title, b.sections
}

func withoutFrontMatter(text string) string {
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		return text
	}
	if _, body, ok := strings.Cut(rest, "\n---\n"); ok {
		return body
	}
	return text
}

// SectionsFromHTML splits an HTML text at its headings of the first three levels. The title is the first top-level heading,
// or what the document's head says.
func SectionsFromHTML(text string) (string, []Section) {
	var b sectionBuilder
	writeHTML(html.NewTokenizer(strings.NewReader(text)), &b.body, b.head)
	b.flush()
	for i := range b.sections {
		b.sections[i].Content = tidyLines(b.sections[i].Content)
	}
	if b.title == "" {
		b.title = htmlTitle(text)
	}
	return b.title, b.sections
}

func htmlTitle(text string) string {
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken:
			if z.Token().DataAtom == atom.Title {
				return elementText(z, atom.Title)
			}
		}
	}
}

// sectionsFromText takes a short first line as the title.
func sectionsFromText(text string) (string, []Section) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	title, rest, _ := strings.Cut(text, "\n")
	if title = oneLine(title); len(title) > 120 || strings.TrimSpace(rest) == "" {
		return "", []Section{{Content: text}}
	}
	return title, []Section{{Content: strings.TrimSpace(rest)}}
}
