package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// config is a config.json, or an object inside one, while an architecture reads it. The getters note which
// fields they were asked for and what is wrong with them; finish reports all of that at once. After a
// complaint a getter returns a value with which reading can go on.
//
// A field that is null counts as absent. An absent field has the default that Transformers gives it, except
// that fields on which the shape of a weight depends must be there.
type config struct {
	file   string
	prefix string // "rope_parameters." inside that object
	fields map[string]any
	asked  map[string]bool
	wrong  map[string]bool
	errs   *[]error
}

// readConfig parses the text of a config.json.
func readConfig(file string, text []byte) (*config, error) {
	c := newConfig(file, "", map[string]any{}, new([]error))
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	at := func() string {
		return fmt.Sprintf("%s:%d", file, 1+bytes.Count(text[:dec.InputOffset()], []byte("\n")))
	}
	bad := func(err error) (*config, error) {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s: %w; give a model's config.json", at(), err)
	}
	if t, err := dec.Token(); err != nil {
		return bad(err)
	} else if t != json.Delim('{') {
		return bad(fmt.Errorf("not a JSON object, it starts with %v", t))
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return bad(err)
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return bad(err)
		}
		if _, twice := c.fields[key.(string)]; twice {
			return nil, fmt.Errorf("%s: field %s occurs twice; keep the right one", at(), key)
		}
		c.fields[key.(string)] = value
	}
	if _, err := dec.Token(); err != nil {
		return bad(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad(errors.New("something follows the JSON object"))
	}
	return c, nil
}

func newConfig(file, prefix string, fields map[string]any, errs *[]error) *config {
	return &config{file, prefix, fields, map[string]bool{}, map[string]bool{}, errs}
}

// complain notes that something is wrong with a field. The message continues "field F" and ends with what to do.
func (c *config) complain(field, format string, args ...any) {
	c.wrong[field] = true
	*c.errs = append(*c.errs, fmt.Errorf("%s: field %s%s %s", c.file, c.prefix, field, fmt.Sprintf(format, args...)))
}

// get returns a field, nil when it is absent or null.
func (c *config) get(field string) any {
	c.asked[field] = true
	return c.fields[field]
}

// alias makes a field known by its first name that may be written under several; two of them must agree.
func (c *config) alias(field string, others ...string) {
	for _, other := range others {
		value := c.get(other)
		if value == nil {
			continue
		}
		if own := c.fields[field]; own != nil && !sameValue(own, value) {
			c.complain(field, "is %s but %s is %s, two names of one thing; keep the right one", show(own), other, show(value))
		}
		c.fields[field] = value
	}
}

// sameValue compares decoded JSON, numbers by value (10000 and 10000.0 are the same).
func sameValue(a, b any) bool {
	x, isX := number(a)
	y, isY := number(b)
	if isX && isY {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

// number returns a value as a float. Transformers writes what JSON cannot say as {"__float__": "Infinity"}.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		x, err := v.Float64()
		return x, err == nil
	case map[string]any:
		if s, ok := v["__float__"].(string); ok && len(v) == 1 {
			x, err := strconv.ParseFloat(s, 64)
			return x, err == nil
		}
	}
	return 0, false
}

// show prints a value as it stands in the file.
func show(value any) string {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic("BUG: " + err.Error())
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// sizeMax is the largest size that a weight may have in one dim.
const sizeMax = 1 << 20

// size returns a field that must be there: an integer of at least 1 that is the size of a weight.
func (c *config) size(field string) int {
	if c.get(field) == nil {
		c.complain(field, "is missing; add it as the model's publisher has it")
		return 1
	}
	n := c.sizeOr(field, 1)
	if n > sizeMax {
		c.complain(field, "is %d; moegen takes at most %d", n, sizeMax)
		return 1
	}
	return n
}

// sizeOr returns an integer of at least 1.
func (c *config) sizeOr(field string, absent int) int {
	n := c.integerOr(field, absent)
	if n < 1 {
		c.complain(field, "is %d; it must be at least 1", n)
		return 1
	}
	return n
}

// integerOr returns an integer; 64.0 is one.
func (c *config) integerOr(field string, absent int) int {
	value := c.get(field)
	if value == nil {
		return absent
	}
	n, ok := integer(value)
	if !ok {
		want := "an integer"
		if x, _ := number(value); math.Abs(x) >= integerMax {
			want += " below 2^31"
		}
		c.complain(field, "is %s; it must be %s", show(value), want)
		return absent
	}
	return n
}

// integerMax is beyond every integer that a config can mean.
const integerMax = 1 << 31

// integer returns a value as an integer.
func integer(value any) (int, bool) {
	x, ok := number(value)
	return int(x), ok && x == math.Trunc(x) && math.Abs(x) < integerMax
}

// floatOr returns a number.
func (c *config) floatOr(field string, absent float64) float64 {
	value := c.get(field)
	if value == nil {
		return absent
	}
	x, ok := number(value)
	if !ok {
		c.complain(field, "is %s; it must be a number", show(value))
		return absent
	}
	return x
}

// positiveOr returns a number above 0 and below infinity.
func (c *config) positiveOr(field string, absent float64) float64 {
	x := c.floatOr(field, absent)
	if !(x > 0) || math.IsInf(x, 1) {
		c.complain(field, "is %v; it must be a number above 0", x)
		return 1
	}
	return x
}

// positive returns a number above 0 that must be there.
func (c *config) positive(field string) float64 {
	if c.get(field) == nil {
		c.complain(field, "is missing; add it as the model's publisher has it")
		return 1
	}
	return c.positiveOr(field, 1)
}

// boolOr returns true or false.
func (c *config) boolOr(field string, absent bool) bool {
	value := c.get(field)
	if value == nil {
		return absent
	}
	b, ok := value.(bool)
	if !ok {
		c.complain(field, "is %s; it must be true or false", show(value))
	}
	return b
}

// stringOr returns a string.
func (c *config) stringOr(field, absent string) string {
	value := c.get(field)
	if value == nil {
		return absent
	}
	s, ok := value.(string)
	if !ok {
		c.complain(field, "is %s; it must be a string", show(value))
		return absent
	}
	return s
}

// list returns the elements of a list, none when it is absent.
func (c *config) list(field string) []any {
	value := c.get(field)
	list, ok := value.([]any)
	if !ok && value != nil {
		c.complain(field, "is %s; it must be a list", show(value))
	}
	return list
}

// object returns an object inside the config, nil when it is absent.
func (c *config) object(field string) *config {
	value := c.get(field)
	if value == nil {
		return nil
	}
	fields, ok := value.(map[string]any)
	if !ok {
		c.complain(field, "is %s; it must be an object", show(value))
		return nil
	}
	return newConfig(c.file, c.prefix+field+".", fields, c.errs)
}

// finish returns which fields were left unread because they do not matter, sorted, and everything that is
// wrong with the config. Fields that nobody asked for and that are not known not to matter are wrong.
func (c *config) finish() ([]Ignored, error) {
	var ignored []Ignored
	for _, field := range c.unread() {
		reason, ok := ignorable[field]
		switch {
		case ok:
			ignored = append(ignored, Ignored{field, reason})
		case c.fields[field] == nil:
			ignored = append(ignored, Ignored{field, "null"})
		default:
			c.complain(field, "is not known to moegen; remove it if training does not depend on it")
		}
	}
	return ignored, errors.Join(*c.errs...)
}

// unread returns the fields that nobody asked for, sorted.
func (c *config) unread() []string {
	var names []string
	for field := range c.fields {
		if !c.asked[field] {
			names = append(names, field)
		}
	}
	slices.Sort(names)
	return names
}

// ignorable are the fields on which training does not depend, with the reason.
var ignorable = ignorableFields()

func ignorableFields() map[string]string {
	reasons := []struct{ fields, why string }{
		{"_name_or_path transformers_version tokenizer_class unsloth_fixed unsloth_version", "says where the config comes from"},
		{"bos_token_id eos_token_id", "special tokens are the tokenizer's affair"},
		{"add_cross_attention chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id finetuning_task " +
			"is_decoder is_encoder_decoder prefix pruned_heads sep_token_id task_specific_params tf_legacy_loss " +
			"tie_encoder_decoder use_bfloat16", "of other kinds of models"},
		{"_attn_implementation _attn_implementation_autoset attn_implementation experts_implementation",
			"how Transformers computes, not what"},
		{"output_attentions output_hidden_states return_dict torchscript", "what Transformers returns from a call"},
		{"id2label label2id num_labels problem_type", "of classification heads"},
		{"use_cache bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping " +
			"encoder_no_repeat_ngram_size exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id " +
			"length_penalty max_length min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences " +
			"output_scores remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens " +
			"temperature top_k top_p typical_p", "of text generation"},
		{"sliding_window max_window_layers", "without effect, as use_sliding_window is false"},
	}
	fields := map[string]string{}
	for _, r := range reasons {
		for _, field := range strings.Fields(r.fields) {
			fields[field] = r.why
		}
	}
	return fields
}
