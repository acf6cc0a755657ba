package synthesis

import (
	"strings"

	"aiagents/modules/enhancement/evidence"
)

// Stems of verbs by what the act does, in the languages of the note. A stem stands for all its forms.
const (
	lookStems = `check|verif|look|compar|inspect|confirm|review|list|read|open|ping|trac|view|see|note|identif|find|test|` +
		`prüf|überprüf|kontrollier|vergleich|ansehen|vérifi|contrôl|compar|consult|comprueb|comprob|verific|revis|controleer|bekijk|vergelijk`
	changeStems = `re-?start|start|stop|chang|set|configur|updat|upgrad|install|enabl|creat|recreat|add|re-?add|mov|renam|clear|flush|kill|assign|` +
		`re-?run|re-?ran|run|ran|rebuil|renew|extend|increas|free|expand|re-?connect|connect|unlock|grant|apply|appli|deploy|patch|replac|modif|` +
		`adjust|releas|repair|re-?join|join|swap|switch|mount|rotat|import|register|allow|whitelist|clean|migrat|sync|push|edit|correct|fix|map|remap|re-?issu|` +
		`neu ?start|stopp|änder|setz|konfigurier|aktualisier|installier|aktivier|erstell|verschieb|umbenenn|leer|erweiter|vergrößer|entsperr|` +
		`redémarr|démarr|arrêt|mett|activ|cré|déplac|vid|étend|augment|reinici|inici|deten|cambi|actualiz|instal|muev|mov|vací|ampli|aument|` +
		`herstart|wijzig|stel|werk|schakel|maak|verplaats|leeg|vergroot`
	approvalStems = `delet|remov|eras|wip|format|drop|truncat|destroy|purg|uninstall|re-?imag|re-?install|overwrit|revok|decommission|fail ?over|` +
		`shut|power|reset|disabl|turn off|bypass|downgrad|roll|restor|re-?boot|` +
		`lösch|entfern|formatier|deinstallier|neuinstallier|überschreib|deaktivier|abschalt|ausschalt|herunterfahr|zurücksetz|wiederherstell|` +
		`supprim|effac|désinstall|désactiv|éteind|éteign|réinitialis|restaur|elimin|borr|desinstal|desactiv|apag|restablec|` +
		`verwijder|wis|deïnstalleer|uitschakel|terugzet`
	// A verb gives an order where a clause begins with it. "Check whether it was restarted" orders no restart.
	clauseStart = `(?i)(?:^\W*|[.;:,!?(]\s*|\b(?:and|then|or|please|now|try to|we|i|und|dann|oder|bitte|et|puis|ou|y|luego|en|dan|of)\s+)`
)

var (
	ordersLook     = evidence.MustPattern(`(?i)^\W*(?:` + lookStems + `)`)
	ordersChange   = evidence.MustPattern(clauseStart + `(?:` + changeStems + `)`)
	ordersApproval = evidence.MustPattern(clauseStart + `(?:` + approvalStems + `)`)
	mentionsChange = evidence.MustPattern(`(?i)\b(?:` + changeStems + `|` + approvalStems + `)`)
	// German and Dutch put the verb of an order last, so its infinitive counts anywhere.
	lastChange   = evidence.MustPattern(`(?i)\b(?:neu ?)?(?:starten|stoppen|ändern|setzen|konfigurieren|aktualisieren|installieren|aktivieren|erstellen|verschieben|umbenennen|leeren|erweitern|entsperren|herstarten|wijzigen|installeren|verplaatsen)\b`)
	lastApproval = evidence.MustPattern(`(?i)\b(?:löschen|entfernen|formatieren|deinstallieren|überschreiben|deaktivieren|abschalten|ausschalten|herunterfahren|zurücksetzen|wiederherstellen|verwijderen|wissen|formatteren|uitschakelen|terugzetten)\b`)
	// Commands and words that destroy, wherever they stand.
	destroys = evidence.MustPattern(`(?i)\brm\s+-|\bdel\s+/|\bformat\s+[a-z]:|\bdrop\s+(?:table|database)|\bfactory reset|\bdiskpart|\bmkfs|\bdd\s+if=|\b(?:delete|deleting|erase|erasing|wipe|wiping)\b|` +
		`\b(?:turn|switch|schalte\w*)\b.{0,40}\b(?:off|ab|aus)\b`)
)

// raiseSafety corrects a tag that says less than the words of the step do. It never lowers one.
func raiseSafety(given evidence.Safety, text string) evidence.Safety {
	least := evidence.ReadOnly
	lower := strings.ToLower(text)
	switch {
	case needsApproval(text, lower):
		least = evidence.NeedsApproval
	case ordersChange.Matches(text, lower), lastChange.Matches(text, lower):
		least = evidence.Reversible
	}
	if least.Rank() > given.Rank() {
		return least
	}
	return given
}

func needsApproval(text, lower string) bool {
	return ordersApproval.Matches(text, lower) || lastApproval.Matches(text, lower) || destroys.Matches(text, lower)
}

// quotedSafety has no model's tag to start from. A sentence is taken to change something unless it begins by looking.
func quotedSafety(s string) evidence.Safety {
	if ordersLook.MatchString(s) {
		return raiseSafety(evidence.ReadOnly, s)
	}
	return raiseSafety(evidence.Reversible, s)
}

// tellsAnAct leaves out how it ended: "Mail flowed again." is no step.
func tellsAnAct(s string) bool { return ordersLook.MatchString(s) || mentionsChange.MatchString(s) }
