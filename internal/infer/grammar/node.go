package grammar

// kind says what a node takes.
type kind uint8

const (
	isDone    kind = iota // the end of the whole
	isLiteral             // one of several texts
	isText
	isNumber
	isList
	isObject
	isKey // of an object that takes any
	isUnion
)

// node is a compiled part of a schema. It does not change once it is compiled.
type node struct {
	kind  kind
	least int // bytes of the shortest value
	// Of a text: characters; most is -1 without a bound. Of a list: items.
	min, most int

	literals *trie // of a literal; of a key, the names that it must not be
	number   numberSpec
	items    []*node // of a list, the first ones
	rest     *node   // of a list or an object, what else may come; nil: nothing
	alts     []*node

	props []property
	// For the place before property i: bytes of what must still come, each with the comma
	// before it, and of the shortest one that may come.
	tail []int
	next []int
	key  *node // of an object with rest
}

type property struct {
	text     string // the name as JSON
	value    *node
	required bool
}

// infinite is a length that no answer has.
const infinite = 1 << 40

// item is what the list's item i is; nil: there is none.
func (n *node) item(i int) *node {
	if i < len(n.items) {
		return n.items[i]
	}
	return n.rest
}

// mayHave says whether a list may have an item i.
func (n *node) mayHave(i int) bool {
	return (n.most < 0 || i < n.most) && n.item(i) != nil
}

// candidates are the properties that may come at place i: all up to the first one that
// must. If none must, "all" is true, and other keys may come too.
func (n *node) candidates(i int) (to int, all bool) {
	for to = i; to < len(n.props); to++ {
		if n.props[to].required {
			return to + 1, false
		}
	}
	return to, true
}

// finish fills in the lengths of an object.
func (n *node) finish() {
	count := len(n.props)
	n.tail, n.next = make([]int, count+1), make([]int, count+1)
	n.next[count] = infinite
	if n.rest != nil {
		const quotesAndColon = 3
		n.next[count] = quotesAndColon + n.rest.least
	}
	for i := count - 1; i >= 0; i-- {
		p := &n.props[i]
		own := len(p.text) + 1 + p.value.least
		n.tail[i] = n.tail[i+1]
		n.next[i] = min(own+n.tail[i+1], n.next[i+1])
		if p.required {
			n.tail[i] = min(infinite, n.tail[i+1]+1+own)
			n.next[i] = min(infinite, own+n.tail[i+1])
		}
	}
	n.least = min(infinite, 2+max(0, n.tail[0]-1))
}

// leastFrom is how many bytes the items of a list from i take, with commas before them.
func (n *node) leastFrom(i int) int {
	total := 0
	for ; i < n.min && total < infinite; i++ {
		if n.item(i) == nil {
			return infinite
		}
		total += 1 + n.item(i).least
	}
	return min(total, infinite)
}

// trie is a set of texts, byte by byte.
type trie struct{ steps []trieStep }

type trieStep struct {
	next  map[byte]int32
	ends  bool
	least int // bytes to the nearest end
}

func newTrie(texts []string) *trie {
	t := &trie{steps: []trieStep{{least: infinite}}}
	for _, s := range texts {
		at := int32(0)
		t.steps[0].least = min(t.steps[0].least, len(s))
		for i := range len(s) {
			next, ok := t.steps[at].next[s[i]]
			if !ok {
				next = int32(len(t.steps)) //nolint:gosec // schemas are bounded
				t.steps = append(t.steps, trieStep{least: infinite})
				if t.steps[at].next == nil {
					t.steps[at].next = make(map[byte]int32)
				}
				t.steps[at].next[s[i]] = next
			}
			at = next
			t.steps[at].least = min(t.steps[at].least, len(s)-i-1)
		}
		t.steps[at].ends = true
	}
	return t
}
