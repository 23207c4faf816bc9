package assets

import (
	"bytes"
	"io"
	"strings"

	"golang.org/x/net/html"
)

// Bounds on what early hints are made of.
const (
	maxHintPage  = 64 << 10 // bytes of a page that are read for its links
	maxHints     = 32
	maxHintBytes = 4 << 10
)

// isHTML reports whether a content type is that of a page.
func isHTML(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/html")
}

// pageLinks returns Link values for the <link> elements of a page that name nothing but rel, href and as, with a
// rel of preload, preconnect or modulepreload. More attributes could change what is to be fetched, and how.
func pageLinks(page []byte) []string {
	var out []string
	size := 0
	for z := html.NewTokenizer(bytes.NewReader(page)); len(out) < maxHints; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		name, more := z.TagName()
		if string(name) == "body" {
			return out
		}
		if string(name) != "link" {
			continue
		}
		link := linkValue(z, more)
		if size += len(link); link == "" || size > maxHintBytes {
			continue
		}
		out = append(out, link)
	}
	return out
}

func linkValue(z *html.Tokenizer, more bool) string {
	var rel, href, as string
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		switch string(k) {
		case "rel":
			rel = strings.ToLower(string(v))
		case "href":
			href = string(v)
		case "as":
			as = string(v)
		default:
			return ""
		}
	}
	if !isHintRel(rel) || href == "" || !isFieldValue(href) || strings.ContainsAny(href, "<>\"\t ") || as != "" && !isToken(as) {
		return ""
	}
	for i := range len(href) {
		if href[i] >= 0x80 {
			return "" // A field is ASCII.
		}
	}
	link := "<" + href + ">; rel=" + rel
	if as != "" {
		link += "; as=" + as
	}
	return link
}

func isHintRel(rel string) bool {
	return rel == "preload" || rel == "preconnect" || rel == "modulepreload"
}

// hintsOf returns the values of the Link fields among fields that are worth sending ahead.
func hintsOf(fields []Field) []string {
	var out []string
	size := 0
	for _, f := range fields {
		if f.Name != "Link" {
			continue
		}
		for _, link := range splitLinks(f.Value) {
			if size += len(link); len(out) < maxHints && size <= maxHintBytes && hasHintRel(link) {
				out = append(out, link)
			}
		}
	}
	return out
}

// splitLinks splits a Link field (RFC 8288, 3) at the commas that are not within <> or quotes.
func splitLinks(value string) []string {
	var out []string
	start, within := 0, byte(0)
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case within == '"' && c == '\\':
			i++
		case within != 0:
			if c == within {
				within = 0
			}
		case c == '<':
			within = '>'
		case c == '"':
			within = '"'
		case c == ',':
			out = append(out, strings.TrimSpace(value[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(value[start:]))
}

// hasHintRel reports whether a link value has a relation that a browser can act on before the answer comes.
func hasHintRel(link string) bool {
	end := strings.IndexByte(link, '>')
	if !strings.HasPrefix(link, "<") || end < 0 {
		return false
	}
	for param := range strings.SplitSeq(link[end+1:], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
				if isHintRel(strings.ToLower(rel)) {
					return true
				}
			}
		}
	}
	return false
}

// readHead returns the first bytes of a content, up to maxHintPage.
func (s *Site) readHead(e *Entry) ([]byte, error) {
	f, err := s.files.Open(e.Blob)
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(io.LimitReader(f, maxHintPage))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return head, err
}
