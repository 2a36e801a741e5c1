package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"moegen/runtime/tokenizer"
)

// listing is the files to read.
type listing struct {
	paths   []string
	folder  bool
	skipped int // files that turned out not to be text
}

// list finds the files at path.
func list(path string, extensions []string) (*listing, error) {
	stat, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: name a text file, or a folder of them", path)
	}
	if err != nil {
		return nil, err
	}
	if stat.Mode().IsRegular() {
		return &listing{paths: []string{path}}, nil
	}
	if !stat.IsDir() {
		return nil, fmt.Errorf("%s is neither a file nor a folder: text is read twice, so it must lie on disk", path)
	}
	l := &listing{folder: true}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != path && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || len(extensions) > 0 && !slices.Contains(extensions, filepath.Ext(p)) {
			return nil
		}
		if file, err := os.Stat(p); err == nil && file.Mode().IsRegular() { // links to files are followed
			l.paths = append(l.paths, p)
		}
		return nil
	})
	return l, err
}

// pieceBytes is the size of the parts in which long documents are read.
const pieceBytes = 256 << 10

// piece is a document or, where last is not set, a part of one.
type piece struct {
	path string
	text []byte
	last bool
}

// pieces reads documents one after the other, long ones in parts that can be tokenised by themselves.
type pieces struct {
	files *listing
	cut   func([]byte) int // where a text can be divided, 0: nowhere
	file  *os.File         // being read
	rest  []byte           // read, but not handed out
	left  int64            // bytes of the file that have not been read

	buffer []byte // of examine
}

func (p *pieces) close() {
	if p.file != nil {
		p.file.Close()
	}
}

// next returns as many pieces as the cores of this machine can do at a time; none at the end.
func (p *pieces) next() ([]piece, error) {
	var group []piece
	for size := 0; size < runtime.GOMAXPROCS(0)*pieceBytes; {
		one, err := p.one()
		if err != nil {
			return nil, err
		}
		if one == nil {
			break
		}
		group = append(group, *one)
		size += len(one.text)
	}
	return group, nil
}

// one returns the next piece, nil at the end.
func (p *pieces) one() (*piece, error) {
	for p.file == nil {
		if len(p.files.paths) == 0 {
			return nil, nil
		}
		if err := p.open(p.files.paths[0]); err != nil {
			return nil, err
		}
		p.files.paths = p.files.paths[1:]
	}
	path := p.file.Name()
	for want := pieceBytes; ; want *= 2 {
		n := int(min(int64(max(0, want-len(p.rest))), p.left))
		text := make([]byte, len(p.rest)+n) // as long as the piece, for many pieces are held at a time
		if _, err := io.ReadFull(p.file, text[copy(text, p.rest):]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if p.left -= int64(n); p.left == 0 {
			p.file.Close()
			p.file, p.rest = nil, nil
			return &piece{path, text, true}, nil
		}
		p.rest = text
		if end := p.cut(text); end > 0 {
			p.rest = text[end:]
			return &piece{path, text[:end:end], false}, nil
		}
	}
}

// open starts to read a file if it is text. A single file that is not is an error, one in a folder is skipped.
func (p *pieces) open(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	problem, size, err := p.examine(f)
	if err == nil && problem == "" && size > 0 {
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			p.file, p.left = f, size
			return nil
		}
	}
	f.Close()
	if err == nil && problem != "" {
		p.files.skipped++
		if !p.files.folder {
			err = fmt.Errorf("%s %s", path, problem)
		}
	}
	return err
}

// examine says what keeps a file from being text, "" if nothing does, and then its size.
func (p *pieces) examine(f *os.File) (problem string, size int64, err error) {
	if p.buffer == nil {
		p.buffer = make([]byte, 64<<10)
	}
	kept := 0 // bytes of a character whose end has not been read
	for at := int64(0); ; {
		n, err := io.ReadFull(f, p.buffer[kept:])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return "", 0, err
		}
		text := p.buffer[:kept+n]
		if i := bytes.IndexByte(text, 0); i >= 0 {
			return fmt.Sprintf("is binary: byte %d is zero", at+int64(i)), 0, nil
		}
		kept = 0
		if !end {
			kept = incomplete(text)
		}
		whole := text[:len(text)-kept]
		if !utf8.Valid(whole) {
			return fmt.Sprintf("is not UTF-8: byte %d", at+int64(firstInvalid(whole))), 0, nil
		}
		at += int64(len(whole))
		if end {
			return "", at, nil
		}
		copy(p.buffer, text[len(whole):])
	}
}

// incomplete is the length of the character at the end of a text of which bytes are missing, 0 if there is none.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// firstInvalid is the position of the first byte that is not UTF-8.
func firstInvalid(text []byte) int {
	for i := 0; ; {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// encode tokenises pieces on all cores.
func encode(t *tokenizer.Tokenizer, group []piece) [][]int32 {
	ids := make([][]int32, len(group))
	var next sync.Mutex
	taken := 0
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(group)) {
		workers.Go(func() {
			for {
				next.Lock()
				i := taken
				taken++
				next.Unlock()
				if i >= len(group) {
					return
				}
				// A token is a byte at least; one more may end the document.
				ids[i] = t.Encode(make([]int32, 0, len(group[i].text)+1), group[i].text)
			}
		})
	}
	workers.Wait()
	return ids
}
