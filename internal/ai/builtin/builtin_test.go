package builtin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"

	"github.com/selvage-dev/selvage/internal/ai/builtin"
	"github.com/selvage-dev/selvage/internal/ai/catalogue"
	"github.com/selvage-dev/selvage/internal/infer"
	"github.com/selvage-dev/selvage/internal/infer/lexical"
)

func open(t *testing.T) *lexical.Model {
	t.Helper()
	m, err := builtin.Open(builtin.Embed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTheModelStaysTheSame: vectors that were stored are compared with those of the next
// release. Who changes the table gives it a new name.
func TestTheModelStaysTheSame(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("wordnet-embed-en-v1.words")
	if err != nil {
		t.Fatal(err)
	}
	const want = "de1235b9aa4915619b9c45f2ad12df589d5df5240a7b8b06ed88e87cb33ad9da"
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
		t.Errorf("the table has the digest %x", sum)
	}
}

func TestTheCatalogueHasIt(t *testing.T) {
	t.Parallel()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	i := open(t).Info()
	m, ok := c.Find(builtin.Embed)
	if !ok || m.Dimensions != i.Dimensions || m.Context != i.MaxTokens || m.Architecture != builtin.Architecture || m.Kind != catalogue.Embeddings {
		t.Errorf("%+v, the table has %+v", m, i)
	}
	if builtin.Size(builtin.Embed) < i.WeightBytes/2 || builtin.Has("@selvage/other") {
		t.Error("size or names")
	}
	if _, err := builtin.Open("@selvage/other"); err == nil {
		t.Error("opened what is not there")
	}
}

func dot(a, b []float32) (sum float32) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// TestNeighbours: each text is nearer to the second than to the third.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	m := open(t)
	for _, c := range [][3]string{
		{"dog", "puppy", "carburettor"},
		{"physician", "doctor", "banana"},
		{"Cars", "automobiles", "carrots"},
		{"she was happy", "he is glad", "granite"},
		{"He bought children's shoes", "footwear for a child", "an orchestra plays"},
		{"order 7731-XK", "where is 7731-XK?", "where is 8842-QJ?"},
		{"to be or not to be", "to be or not to be", "what"},
		{"名前", "名前", "犬"},
	} {
		v, tokens, err := m.Embed(t.Context(), c[:], infer.Mean)
		if err != nil || tokens < 3 {
			t.Fatal(tokens, err)
		}
		if near, far := dot(v[0], v[1]), dot(v[0], v[2]); near < far+0.2 {
			t.Errorf("%q: %.3f to %q, %.3f to %q", c[0], near, c[1], far, c[2])
		}
	}
}

// paraphrases are pairs that mean the same with few words in common.
var paraphrases = [][2]string{
	{"my package never arrived in the mail", "Parcels that get lost during postal delivery are replaced free of charge"},
	{"how do I get my money back", "Refund policy: customers may return goods for reimbursement within thirty days"},
	{"the physician prescribed a medicine", "A doctor gave the patient some pills"},
	{"kids playing in the park", "Children run around on the playground"},
	{"the automobile broke down on the road", "My car has engine trouble on the highway"},
	{"reset my password", "Change the secret word used to sign in to your account"},
	{"cheap places to stay overnight", "Inexpensive hotels and hostels for travellers"},
	{"the feline is asleep on the sofa", "A cat naps on the couch"},
	{"stock market falls sharply", "Share prices plunge on the exchange"},
	{"he was convicted of stealing", "The court found the thief guilty of robbery"},
	{"what should I cook for dinner", "Recipes for tasty evening meals"},
	{"it is raining heavily outside", "A storm brings a downpour of water from the clouds"},
	{"the ship sank in the ocean", "A boat went down at sea"},
	{"scientists discover a new planet", "Astronomers find a previously unknown world orbiting a star"},
	{"learn to play an instrument", "Piano and guitar lessons for music beginners"},
	{"the soldier fought in the war", "Troops were in battle against the enemy army"},
	{"purchase a house with a loan", "Buying a home using a mortgage"},
	{"fix a leaking pipe", "Plumber repairs for dripping taps"},
	{"the pupil studies mathematics", "A student learns algebra and geometry at school"},
	{"lower my electricity bill", "Tips for saving energy and paying less for power"},
	{"the plane landed late", "Our flight arrived behind schedule at the airport"},
	{"dangerous snake bites", "Venom from a viper can kill a person"},
	{"delete my user profile", "Erase your account and personal data permanently"},
	{"job openings for programmers", "We are hiring software developers"},
}

// TestParaphrases holds the quality that docs/AI.md states.
func TestParaphrases(t *testing.T) {
	t.Parallel()
	m := open(t)
	var questions, texts []string
	for _, p := range paraphrases {
		questions, texts = append(questions, p[0]), append(texts, p[1])
	}
	q, _, err := m.Embed(t.Context(), questions, infer.Mean)
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := m.Embed(t.Context(), texts, infer.Mean)
	if err != nil {
		t.Fatal(err)
	}
	first, reciprocal := 0, 0.0
	for i := range q {
		rank := 1
		for j := range d {
			if j != i && dot(q[i], d[j]) >= dot(q[i], d[i]) {
				rank++
			}
		}
		if rank == 1 {
			first++
		}
		reciprocal += 1 / float64(rank) / float64(len(q))
	}
	t.Logf("first %d of %d, mean reciprocal rank %.3f", first, len(q), reciprocal)
	if first < 16 || reciprocal < 0.79 {
		t.Errorf("first %d of %d, mean reciprocal rank %.3f", first, len(q), reciprocal)
	}
}

func BenchmarkSentence(b *testing.B) {
	m, err := builtin.Open(builtin.Embed)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := m.Embed(b.Context(), []string{paraphrases[0][1]}, infer.Mean); err != nil {
			b.Fatal(err)
		}
	}
}
