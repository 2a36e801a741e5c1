package data

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// spool is a list of tokens in a temporary file without a name: 2 bytes each if the vocabulary allows it, else 4.
type spool struct {
	file  *os.File
	out   *bufio.Writer
	sum   hash.Hash
	vocab int
	width int
	n     int64
}

// beyondVocab is the error of a token that the model does not have.
type beyondVocab struct {
	id    int32
	vocab int
}

func (e *beyondVocab) Error() string {
	return fmt.Sprintf("token %d is beyond the vocabulary of %d", e.id, e.vocab)
}

func (s *spool) create(vocab int) error {
	f, err := os.CreateTemp("", "moegen-tokens-*")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	s.file, s.sum, s.vocab, s.width = f, sha256.New(), vocab, 4
	if vocab <= 1<<16 {
		s.width = 2
	}
	s.out = bufio.NewWriterSize(io.MultiWriter(f, s.sum), 256<<10)
	return nil
}

func (s *spool) close() error { return s.file.Close() }

// append adds tokens at the end.
func (s *spool) append(ids []int32) error {
	raw := s.out.AvailableBuffer()
	for _, id := range ids {
		if id < 0 || int(id) >= s.vocab {
			return &beyondVocab{id, s.vocab}
		}
		if s.width == 2 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(id))
		} else {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(id))
		}
	}
	s.n += int64(len(ids))
	if _, err := s.out.Write(raw); err != nil {
		return s.full(err)
	}
	return nil
}

// finish ends writing.
func (s *spool) finish() error {
	if err := s.out.Flush(); err != nil {
		return s.full(err)
	}
	s.out = nil
	return nil
}

// full explains an error of writing.
func (s *spool) full(err error) error {
	return fmt.Errorf("the tokens of the data do not fit into %s (set TMPDIR to another folder): %w", os.TempDir(), err)
}

// read fetches the tokens from first on.
func (s *spool) read(first int64, dst []int32) error {
	raw := make([]byte, len(dst)*s.width)
	if _, err := s.file.ReadAt(raw, first*int64(s.width)); err != nil {
		return err
	}
	for i := range dst {
		if s.width == 2 {
			dst[i] = int32(binary.LittleEndian.Uint16(raw[2*i:]))
		} else {
			dst[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return nil
}

// fingerprint hashes the tokens, as they are stored, and the ends of the documents.
func (s *spool) fingerprint(documents []span) string {
	h := sha256.New()
	h.Write(s.sum.Sum(nil))
	for _, d := range documents {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(d.end)))
	}
	return hex.EncodeToString(h.Sum(nil))
}
