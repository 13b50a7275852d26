using System.Collections.Immutable;

namespace Routing.Ha;

/// <summary>The decision of one run of the loop.</summary>
/// <param name="Code">
/// A machine-readable word for the reason, such as <c>follows</c>; a closed list in docs/operations.md.
/// </param>
/// <param name="Reason">One sentence that goes on after "This member ".</param>
/// <param name="Actions">What to do, in order; an action that fails ends the run.</param>
/// <param name="Memory">What to hand to the next run.</param>
/// <param name="WakeIn">The loop runs again after this time at the latest; null: after <c>loop_wait</c>.</param>
public sealed record Decision(
    string Code, string Reason, ImmutableArray<HaAction> Actions, LoopMemory Memory, TimeSpan? WakeIn = null)
{
    /// <summary>The decision with one more action at its end.</summary>
    public Decision Then(HaAction action) => this with { Actions = Actions.Add(action) };

    /// <summary>The decision with one more action before the others.</summary>
    public Decision After(HaAction action) => this with { Actions = Actions.Insert(0, action) };
}
