using System.Text.RegularExpressions;
using Routing.TestKit;

namespace Routing.Faults.Tests.Drills;

/// <summary>
/// Each fault of <see cref="FaultList"/> on real servers, each on a machine of its own. A choice of them in quorum mode
/// by default; all of them, in each mode, three times, with ROUTING_TEST_FULL=1.
/// </summary>
/// <remarks>
/// ROUTING_FAULTS_MODE and ROUTING_FAULTS_ONLY (a pattern for names) narrow it, ROUTING_FAULTS_RUNS sets the number of
/// runs.
/// </remarks>
[Collection(DrillGround.Name)]
public sealed class DrillTests(Ground ground)
{
    public static TheoryData<string, CommitMode, int> Drills()
    {
        var isFull = Variable("ROUTING_TEST_FULL") is not null;
        var only = Variable("ROUTING_FAULTS_ONLY");
        var runs = int.Parse(Variable("ROUTING_FAULTS_RUNS") ?? (isFull ? "3" : "1"), null);
        CommitMode[] modes =
            Variable("ROUTING_FAULTS_MODE") is { } mode ? [Enum.Parse<CommitMode>(mode, ignoreCase: true)]
            : isFull ? Enum.GetValues<CommitMode>() : [CommitMode.Quorum];
        var faults = FaultList.All.Where(fault => only is null
            ? isFull || fault.IsChosen
            : Regex.IsMatch(fault.Name, only)).ToList();
        var data = new TheoryData<string, CommitMode, int>();
        foreach (var chosenMode in modes)
        {
            foreach (var fault in faults)
            {
                for (var run = 1; run <= runs; run++)
                {
                    data.Add(fault.Name, chosenMode, run);
                }
            }
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Drills))]
    public async Task One_primary_and_nothing_lost_and_whole_again(string fault, CommitMode mode, int run)
    {
        var chosen = FaultList.Named(fault);
        Assert.SkipWhen(
            chosen.NeedsDisks && !NamespaceLab.IsInside,
            $"Without namespaces there is no disk to fill: {NamespaceLab.WhyNot}");

        var result = await Drill.RunAsync(ground, chosen, mode);

        if (result.Failure is not null)
        {
            await ground.AbandonAsync();
        }
        Assert.True(result.Failure is null, $"{fault}, {mode}, run {run}: {result.Failure}");
    }

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
