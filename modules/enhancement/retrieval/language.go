package retrieval

import (
	"strings"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/spanish"
)

// language is what the analysis knows of one language. Stop words are folded as terms are, and short on purpose: inverse
// document frequency takes care of the rest. They also tell the languages apart.
type language struct {
	name string
	stop map[string]bool
	stem func(*snowballstem.Env) bool
}

// languages begins with the default.
var languages = []language{
	{"english", wordSet(`a about after again all also am an and any are as at be because been before being both but by can
		cannot could did do does doing don down each few for from further had has have having he her here him his how i if in
		into is it its just me more most my no nor not now of off on once only or other our out over own same she should so
		some such than that the their them then there these they this those through to too under until up very was we were
		what when where which while who whom why will with would you your dear hello hi hey thanks thank please regards
		kind ve ll re didn doesn isn wasn won couldn shouldn wouldn hasn haven aren im`), english.Stem},
	{"german", wordSet(`aber alle als am an auch auf aus bei beim bin bis bitte da damit das dass dem den der des die dies
		diese dieser doch durch ein eine einem einen einer es etwas fur haben hallo hat ich ihr im in ist ja kann kein keine
		mein meine mich mir mit nach nicht noch nun nur ob oder ohne seit sehr sein sich sie sind so uber um und uns unter vom
		von vor war was wenn werden wie wieder wir wird wurde zu zum zur danke gruss grusse freundlichen guten tag`), german.Stem},
	{"french", wordSet(`a au aux avec bonjour ce ces cet cette ci dans de des du elle en est et etre eu fait il ils je la le
		les leur lui ma mais me meme merci mes moi mon ne nos notre nous on ont ou par pas plus pour qu que qui sa se ses si
		son sont sur ta te toujours un une vos votre vous depuis cordialement`), french.Stem},
	{"spanish", wordSet(`a al como con cuando de del desde donde el ella en entre era es esta este esto fue gracias ha hay
		hola la las le les lo los mas me mi muy no nos o para pero por porque que se si sin sobre su sus tambien te tiene un
		una uno y ya saludos`), spanish.Stem},
	{"italian", wordSet(`a ai al alla anche c che chi ci come con cosa da dal dalla dei del della di dove e gli grazie ha
		hanno ho i il in io la le lo ma mi ne nel nella no noi non o per perche piu quando questo se si sono su sul un una
		uno buongiorno saluti`), italian.Stem},
	{"dutch", wordSet(`aan al als bij dan dat de deze die dit door een en er geen had heb heeft het hij ik in is kan maar
		me meer met mijn naar niet nog nu of om onder ook op over te tot uit van voor was wat we wel werd wij wordt ze zich
		zijn zo bedankt hallo groet`), dutch.Stem},
	{"portuguese", wordSet(`a ao aos as com como da das de depois do dos e ela ele em entre era essa esse esta este eu foi
		isso ja mais mas me meu minha muito na nao nas no nos o obrigado ola os ou para pela pelo por qual quando que se sem
		seu sua sao tem um uma voce`), portuguese.Stem},
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// detect picks the language with the most stop words. English wins unless another has clearly more: words such as "die",
// "as" or "no" are in several lists.
func detect(tokens []token) *language {
	counts := make([]int, len(languages))
	for _, t := range tokens {
		if !t.word {
			continue
		}
		for i := range languages {
			if languages[i].stop[t.text] {
				counts[i]++
			}
		}
	}
	best := 0
	for i, n := range counts {
		if i > 0 && n >= 3 && n > counts[best] && n*2 > counts[0]*3 {
			best = i
		}
	}
	return &languages[best]
}

// normalise turns a token into its term; empty for a stop word.
func (l *language) normalise(t token, env *snowballstem.Env) string {
	if !t.word {
		return t.text
	}
	if l.stop[t.text] {
		return ""
	}
	env.SetCurrent(t.text)
	l.stem(env)
	return env.Current()
}
