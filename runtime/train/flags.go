package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group is a titled part of a command's flags, as --help shows them.
type group struct {
	title string
	flags *pflag.FlagSet
}

func newGroup(title string) group {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	return group{title, flags}
}

// addGroups gives a command the flags of its groups and a help that keeps them apart.
func addGroups(cmd *cobra.Command, groups ...group) {
	cmd.Flags().SortFlags = false
	groups = slices.DeleteFunc(groups, func(g group) bool { return !g.flags.HasFlags() })
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var text strings.Builder
		fmt.Fprintf(&text, "Usage:\n  %s\n", cmd.UseLine())
		for _, g := range groups {
			fmt.Fprintf(&text, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(100))
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), text.String())
		return err
	})
}

// device has the options by which the program's target chooses what to run on; it is empty where there is no choice.
func (p *Program) device() group {
	g := newGroup("Device")
	p.Target.Flags(g.flags)
	return g
}

// require says which of the named flags is missing from a command line.
func require(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !cmd.Flags().Changed(name) {
			return fmt.Errorf("%s needs --%s: see %s --help", cmd.Name(), name, cmd.CommandPath())
		}
	}
	return nil
}
