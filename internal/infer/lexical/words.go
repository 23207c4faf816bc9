package lexical

import (
	"strings"
	"unicode"
)

// Has says whether a dictionary has a word.
type Has func(word string) bool

// Words cuts text into the words that carry its meaning, in their basic form as
// far as has knows it. There are most words at most; what follows is not read.
func Words(text string, has Has, most int) []string {
	var out []string
	var word strings.Builder
	end := func() {
		if word.Len() == 0 {
			return
		}
		w := strings.TrimSuffix(word.String(), "'s")
		word.Reset()
		if !isStop(w) {
			if w = Base(w, has); !isStop(w) {
				out = append(out, w)
			}
		}
	}
	for i, r := range text {
		switch {
		case r < unicode.MaxASCII && ('a' <= r && r <= 'z' || '0' <= r && r <= '9'):
			word.WriteRune(r)
		case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
			word.WriteRune(unicode.ToLower(r))
		case r == '\'' && word.Len() > 0 && possessive(text[i+1:]):
			word.WriteByte('\'')
		default:
			if end(); len(out) >= most {
				return out
			}
		}
		if word.Len() >= longest {
			end() // a blob is cut; it means nothing anyway
		}
	}
	end()
	return out[:min(len(out), most)]
}

// longest is the most bytes of a word. The longest of the dictionary have 40.
const longest = 64

// possessive says whether what follows an apostrophe is an "s" and no more.
func possessive(rest string) bool {
	return len(rest) > 0 && (rest[0] == 's' || rest[0] == 'S') && (len(rest) == 1 || !isAlphanumeric(rest[1]))
}

func isAlphanumeric(b byte) bool {
	return 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9' || b >= 0x80
}

// endings are the regular ones, and what stands in their place in the basic form.
var endings = []struct{ from, to string }{ //nolint:gochecknoglobals // constant
	{"ies", "y"},
	{"ches", "ch"},
	{"shes", "sh"},
	{"sses", "ss"},
	{"xes", "x"},
	{"s", ""},
	{"ied", "y"},
	{"ed", "e"},
	{"ed", ""},
	{"ing", "e"},
	{"ing", ""},
}

// Base is the basic form of a word: without the ending of a plural or a verb, if has
// knows what is left; the word itself otherwise.
func Base(w string, has Has) string {
	if b, ok := irregular[w]; ok {
		return b
	}
	if !strings.HasSuffix(w, "s") && has(w) {
		return w
	}
	for _, e := range endings {
		stem, ok := strings.CutSuffix(w, e.from)
		if !ok || len(stem)+len(e.to) < 3 {
			continue
		}
		b := stem + e.to
		if has(b) {
			return b
		}
		last := len(b) - 1 // "stopped": "stopp" is "stop"
		if len(e.from) >= 2 && e.to == "" && len(b) > 3 && b[last] == b[last-1] && has(b[:last]) {
			return b[:last]
		}
	}
	return w
}

func isStop(w string) bool { return w == "" || stop[w] }

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// stop are words without a meaning of their own, and those that only a dictionary uses
// all the time.
var stop = set( //nolint:gochecknoglobals // constant
	`a an the of or and to in is are was were be been being for with by that which as on from at it its
	this these those who whom whose not no into such some any all one their his her him my our your me us has have had
	having used usually especially etc e g i you he she we they them can may will would could should do does did doing
	than then so if but also when where there am what how get t s don`)

// irregular are forms that no ending explains.
var irregular = pairs( //nolint:gochecknoglobals // constant
	`children child going go goes go men man women woman people person mice mouse feet foot teeth tooth geese goose
	lice louse oxen ox dice die wives wife knives knife lives life leaves leaf wolves wolf halves half shelves shelf
	thieves thief loaves loaf selves self calves calf crises crisis analyses analysis theses thesis criteria criterion
	phenomena phenomenon bacteria bacterium media medium indices index appendices appendix went go gone go
	bought buy brought bring thought think caught catch taught teach sought seek fought fight sold sell told tell
	said say paid pay made make kept keep slept sleep wept weep felt feel dealt deal meant mean lost lose
	sent send spent spend lent lend built build held hold stood stand understood understand found find
	won win ran run sat sit swam swim swum swim began begin begun begin drank drink drunk drink sang sing sung sing
	rang ring rung ring sank sink sunk sink sprang spring threw throw thrown throw grew grow grown grow knew know
	known know blew blow blown blow flew fly flown fly drew draw drawn draw saw see seen see took take taken take
	shook shake shaken shake gave give given give forgave forgive forgot forget forgotten forget got get gotten get
	wrote write written write rode ride ridden ride drove drive driven drive risen rise broke break
	broken break spoke speak spoken speak stole steal stolen steal chose choose chosen choose froze freeze
	frozen freeze woke wake woken wake wore wear worn wear tore tear torn tear swore swear sworn swear
	ate eat eaten eat beaten beat bitten bite hid hide hidden hide fell fall fallen fall came come became become
	met meet led lead fed feed bled bleed bred breed fled flee hung hang dug dig stuck stick struck strike
	shot shoot shone shine lit light heard hear laid lay lain lie better good best good worse bad worst bad`)

func pairs(words string) map[string]string {
	m := map[string]string{}
	f := strings.Fields(words)
	for i := 0; i+1 < len(f); i += 2 {
		m[f[i]] = f[i+1]
	}
	return m
}
