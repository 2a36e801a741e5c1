package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// indifferent are the fields of a config.json that say nothing about what the program computes: how the
// file was made, how the model is sampled from, how it is stored, and what a build decides by its options.
var indifferent = []string{
	"_name_or_path", "architectures", "attention_dropout", "bos_token_id", "dtype", "eos_token_id",
	"initializer_range", "max_position_embeddings", "output_router_logits",
	"router_aux_loss_coef", "torch_dtype", "transformers_version", "use_cache",
}

// matchConfig compares the config.json of a checkpoint directory with the one that the program was built
// from and names the first field in which they differ. Fields that only one of them has are no difference:
// there are two dialects of these files, and the shapes of the weights are compared anyway. For the same
// reason a field counts by its own name, whatever object it stands in (rope_theta).
func matchConfig(dir, built string, found []byte) error {
	ours, err := fields([]byte(built))
	if err != nil {
		panic("BUG: the config that the binary was built from: " + err.Error())
	}
	path := filepath.Join(dir, "config.json")
	theirs, err := fields(found)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		value, both := theirs[name]
		if both && value != ours[name] && !slices.Contains(indifferent, name) {
			return fmt.Errorf("%s: %s is %s, this binary was built for %s: build one for this model", path, name, value, ours[name])
		}
	}
	return nil
}

// fields returns the fields of a JSON object and of the objects in it as JSON texts of one form. A field that is
// an object itself counts as set.
func fields(text []byte) (map[string]string, error) {
	var object map[string]any
	if err := json.Unmarshal(text, &object); errors.As(err, new(*json.UnmarshalTypeError)) {
		return nil, errors.New("not a JSON object: give the folder of a model")
	} else if err != nil {
		return nil, err
	}
	flat := map[string]string{}
	var add func(map[string]any)
	add = func(object map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			switch value := object[name].(type) {
			case map[string]any:
				flat[name] = "set"
				add(value)
			default:
				text, err := json.Marshal(value)
				if err != nil {
					panic("BUG: " + err.Error())
				}
				flat[name] = string(text)
			}
		}
	}
	add(object)
	return flat, nil
}
