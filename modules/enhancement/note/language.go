package note

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

//go:embed languages.json
var languageFile []byte

var phrasebook = func() map[string]map[string]string {
	var book map[string]map[string]string
	if err := json.Unmarshal(languageFile, &book); err != nil {
		panic("the embedded phrases are broken: " + err.Error())
	}
	return book
}()

// Languages returns the codes of the languages that a note can be written in.
func Languages() []string {
	var codes []string
	for code := range phrasebook {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// phrases are the words of one language.
type phrases map[string]string

// phrasesFor takes codes such as "de" and "de-CH".
func phrasesFor(language string) phrases {
	code, _, _ := strings.Cut(strings.ToLower(language), "-")
	if p, ok := phrasebook[code]; ok {
		return p
	}
	return phrasebook["en"]
}

// say fills a phrase. A key without a phrase is shown as it is: new codes of other packages must not vanish.
func (p phrases) say(key string, args ...any) string {
	phrase, ok := p[key]
	if !ok {
		_, bare, found := strings.Cut(key, ".")
		if !found {
			bare = key
		}
		return strings.ReplaceAll(bare, "_", " ")
	}
	if len(args) == 0 {
		return phrase
	}
	return fmt.Sprintf(phrase, args...)
}
