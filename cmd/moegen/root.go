package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version is what moegen calls itself, in headers and manifests.
const version = "0.1.0"

// newRoot builds the command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "moegen",
		Short: "Build training binaries for mixture-of-experts models",
		Long: `moegen turns a Hugging Face config and a topology into one training binary that stands alone: every launch
and every byte of memory is planned when it is built.

Exit status: 0 all went well; 1 something failed on the way; 2 the command line, or a file that it names, is
not usable; 3 this needs a GPU, and there is none that can be used; 4 doctor finds this machine unfit.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q; see moegen --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: "make", Title: "Make a training binary:"},
		&cobra.Group{ID: "look", Title: "Look at models, plans, binaries and machines:"},
		&cobra.Group{ID: "kernels", Title: "Work on GPU kernels:"},
	)
	for _, c := range []struct {
		group string
		cmd   *cobra.Command
	}{
		{"make", buildCommand()},
		{"make", emitCommand()},
		{"make", initCommand()},
		{"look", doctorCommand()},
		{"look", inspectCommand()},
		{"look", modelsCommand()},
		{"look", planCommand()},
		{"kernels", benchKernelsCommand()},
		{"kernels", benchRanksCommand()},
		{"kernels", simCommand()},
		{"kernels", verifyCommand()},
	} {
		c.cmd.GroupID = c.group
		root.AddCommand(c.cmd)
	}
	root.SetHelpCommand(helpCommand(root))
	root.SetHelpCommandGroupID("look")
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// helpCommand shows the help of a command.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q; see moegen --help", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	}
}

// flagGroup is a titled part of a command's flags, as its help shows them.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newFlagGroup(title string) flagGroup {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	return flagGroup{title, flags}
}

// addGroups gives a command the flags of its groups, and a usage text that keeps them apart.
func addGroups(cmd *cobra.Command, groups ...flagGroup) {
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var text strings.Builder
		fmt.Fprintf(&text, "Usage:\n  %s\n", cmd.UseLine())
		for _, g := range groups {
			fmt.Fprintf(&text, "\n%s:\n%s", g.title, g.flags.FlagUsages())
		}
		_, err := fmt.Fprint(cmd.OutOrStdout(), text.String())
		return err
	})
}
