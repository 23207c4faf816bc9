package client

import "strings"

// webTypes are the types of what websites are made of. The host's own table
// would do, but then the same folder gave other headers from another machine.
const webTypes = `
avif image/avif
bmp image/bmp
bin application/octet-stream
css text/css; charset=utf-8
csv text/csv; charset=utf-8
eot application/vnd.ms-fontobject
gif image/gif
gz application/gzip
htm text/html; charset=utf-8
html text/html; charset=utf-8
ico image/vnd.microsoft.icon
ics text/calendar; charset=utf-8
jpeg image/jpeg
jpg image/jpeg
js text/javascript; charset=utf-8
json application/json
jsonld application/ld+json
m4a audio/mp4
map application/json
markdown text/markdown; charset=utf-8
md text/markdown; charset=utf-8
mjs text/javascript; charset=utf-8
mov video/quicktime
mp3 audio/mpeg
mp4 video/mp4
oga audio/ogg
ogg audio/ogg
ogv video/ogg
opus audio/ogg
otf font/otf
pdf application/pdf
png image/png
rss application/rss+xml
rtf text/rtf; charset=utf-8
svg image/svg+xml
tar application/x-tar
tif image/tiff
tiff image/tiff
toml application/toml
ttf font/ttf
txt text/plain; charset=utf-8
vtt text/vtt; charset=utf-8
wasm application/wasm
wav audio/wav
weba audio/webm
webm video/webm
webmanifest application/manifest+json
webp image/webp
woff font/woff
woff2 font/woff2
xhtml application/xhtml+xml
xml text/xml; charset=utf-8
yaml text/yaml; charset=utf-8
yml text/yaml; charset=utf-8
zip application/zip
`

// webType returns the type of a file by its extension without the dot, "" when
// the table has none.
func webType(extension string) string {
	_, rest, ok := strings.Cut(webTypes, "\n"+strings.ToLower(extension)+" ")
	if !ok || extension == "" {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}
