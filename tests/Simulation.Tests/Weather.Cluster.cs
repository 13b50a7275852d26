using System.Text.Json.Nodes;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Simulation.Tests;

// What operators do to the whole cluster.
internal sealed partial class Weather
{
    private int _restores;

    private bool StrikeCluster(Fault fault, SimNode node, Chance chance)
    {
        switch (fault)
        {
            case Fault.Switchover or Fault.Failover:
                Request(chance, fault == Fault.Switchover);
                return true;
            case Fault.CrashInSwitchover:
                CrashAtStep(chance.Next(10), chance);
                Request(chance, isSwitchover: true);
                return true;
            case Fault.ChangeTimes:
                Set("ttl", chance.Pick(3, 5, 8, SimOptions.LongTtl, SimOptions.LongTtl));
                return true;
            case Fault.ChangeSettings:
                ChangeSetting(chance);
                return true;
            case Fault.ChangeFailsafe:
                Set("failsafe_mode", chance.Happens(0.5));
                return true;
            case Fault.TakeBack:
                TakeBack(chance);
                return true;
            case Fault.CallRestoreOff or Fault.LoseRestore:
                EndRestore(isCalledOff: fault == Fault.CallRestoreOff);
                return true;
            case Fault.AbandonRestore:
                AbandonRestore(chance);
                return true;
            case Fault.ForgedTimeline:
                cluster.Dcs.Put(ClusterKeys.Timeline, chance.Pick("4294967295", "4000000000", "70000"));
                return true;
            case Fault.Pause:
                Set("pause", true);
                Later(chance, () => Set("pause", null));
                return true;
            case Fault.PauseAndCut:
                Set("pause", true);
                After(chance.Between(50, 1500), () => SetLink(node, DcsLink.Cut));
                var ttl = cluster.Options.Ttl * 1000;
                var resume = chance.Between(1500 + (0.5 * ttl), 1500 + (2.5 * ttl));
                After(resume, () => Set("pause", null));
                After(resume + chance.Between(0, 3 * ttl), () => SetLink(node, DcsLink.Open));
                return true;
            default:
                return false;
        }
    }

    private void ChangeSetting(Chance chance)
    {
        switch (chance.Next(6))
        {
            case 0:
            case 1:
                Set("synchronous_mode", chance.Pick<JsonNode>(false, true, "quorum"));
                break;
            case 2:
                Set("synchronous_mode_strict", chance.Happens(0.5));
                break;
            case 3:
                Set("synchronous_node_count", 1 + chance.Next(2));
                break;
            case 4:
                Set("failsafe_mode", chance.Happens(0.5));
                break;
            default:
                Set("maximum_lag_on_failover", chance.Pick(20_000, SimOptions.LargestLag));
                break;
        }
    }

    private void Request(Chance chance, bool isSwitchover)
    {
        var keys = cluster.Dcs.Snapshot;
        if (keys.Leader?.Holder is not { } leader)
        {
            return;
        }
        var others = cluster.Nodes.Where(n => n.Name != leader).Select(n => n.Name).ToList();
        if ((keys.Config?.SynchronousMode ?? SynchronousMode.Off) != SynchronousMode.Off)
        {
            // A failover to an asynchronous member is the operator's own decision to lose commits.
            others = [.. others.Where(keys.Sync.Standbys.Contains)];
        }
        var candidate = others.Count > 0 && (!isSwitchover || chance.Happens(0.7)) ? chance.Pick(others) : null;
        if (!isSwitchover && candidate is null)
        {
            return;
        }
        cluster.Invariants.LossAllowedTo = isSwitchover ? null : candidate;
        var request = new JsonObject();
        if (isSwitchover)
        {
            request["leader"] = leader;
        }
        if (candidate is not null)
        {
            request["member"] = candidate;
        }
        else if (cluster.Options.Sites > 0 && chance.Happens(0.7))
        {
            request["site"] = $"site{chance.Next(cluster.Options.Sites)}";
        }
        cluster.Dcs.Put(ClusterKeys.Failover, request.ToJsonString());
    }

    private void TakeBack(Chance chance)
    {
        if (cluster.Leader is not { Server: { Wal: var wal } } leader || !cluster.Invariants.IsRestoreOver)
        {
            return;
        }
        // Now and then to a position that no WAL reaches.
        var target = wal[^1].End + 100_000;
        if (chance.Happens(0.9))
        {
            target = wal[Math.Max(0, wal.Count - 1 - chance.Next(40))].End;
        }
        var request = new RestoreRequest(
            $"r{++_restores}", leader.Name, new RestoreTarget("lsn", new Lsn(target).ToString()),
            RestorePhase.Requested);
        cluster.Dcs.Put(ClusterKeys.Restore, KeyWriter.Restore(request));
    }

    private void EndRestore(bool isCalledOff)
    {
        if (cluster.Dcs.Snapshot.Restore is not { CanBeCalledOff: true } restore)
        {
            return;
        }
        if (isCalledOff)
        {
            cluster.Dcs.Put(ClusterKeys.Restore, KeyWriter.Restore(
                restore with { Phase = RestorePhase.Failed, Problem = "an operator called it off" }));
        }
        else
        {
            cluster.Dcs.Delete(ClusterKeys.Restore);
        }
    }

    /// <summary>As <c>routingctl restore --call-off --force</c> does.</summary>
    private void AbandonRestore(Chance chance)
    {
        if (cluster.Dcs.Snapshot.Restore is not { Phase: not (RestorePhase.Requested or RestorePhase.Failed) } begun
            || cluster.Nodes.Find(n => n.Name == begun.Member) is not { } node)
        {
            return;
        }
        node.Kill();
        After(chance.Between(200, 8000), () =>
        {
            Later(chance, node.PowerOn);
            if (node.IsUp || cluster.Dcs.Snapshot.Restore is not { } restore || restore.Id != begun.Id
                || restore.Phase == RestorePhase.Failed)
            {
                return;
            }
            if (!restore.CanBeCalledOff)
            {
                cluster.Invariants.GiveUpRestored(restore.Id);
            }
            var history = restore.HistoryWithout(cluster.Dcs.Snapshot);
            if (restore.Phase == RestorePhase.Promoted)
            {
                cluster.Dcs.Delete(ClusterKeys.Restore);
            }
            else
            {
                cluster.Dcs.Put(ClusterKeys.Restore, KeyWriter.Restore(
                    restore with { Phase = RestorePhase.Failed, Problem = "an operator called it off" }));
            }
            if (history is not null)
            {
                cluster.Dcs.Put(ClusterKeys.History, KeyWriter.History(history));
            }
        });
    }

    /// <summary>After so many changes of somebody's decision something crashes on the node that decided last.</summary>
    private void CrashAtStep(int steps, Chance chance)
    {
        var codes = new Dictionary<string, string>();
        cluster.Decided = (node, code) =>
        {
            if (_over || codes.GetValueOrDefault(node.Name) == code || codes.TryAdd(node.Name, code))
            {
                return;
            }
            codes[node.Name] = code;
            if (--steps < 0)
            {
                cluster.Decided = null;
                // Not from within the decision: it is still running.
                After(chance.Between(0, 50),
                    () => Strike(chance.Pick(Fault.KillAgent, Fault.KillPostmaster, Fault.KillNode), node, chance));
            }
        };
    }

    private void ResetSettings()
    {
        var config = cluster.Dcs.Snapshot.Config;
        if (config is not null && !JsonNode.DeepEquals(
            JsonNode.Parse(config.Raw.GetRawText()), JsonNode.Parse(cluster.ConfigElement.GetRawText())))
        {
            cluster.Dcs.Put(ClusterKeys.Config, cluster.ConfigElement.GetRawText());
        }
    }

    /// <summary>Changes one value of the dynamic configuration; null removes it.</summary>
    private void Set(string name, JsonNode? value)
    {
        if (cluster.Dcs.Snapshot.Config is not { } config
            || JsonNode.Parse(config.Raw.GetRawText()) is not JsonObject settings)
        {
            return;
        }
        var before = settings[name];
        if (JsonNode.DeepEquals(before, value))
        {
            return;
        }
        if (value is null)
        {
            settings.Remove(name);
        }
        else
        {
            settings[name] = value;
        }
        cluster.Dcs.Put(ClusterKeys.Config, settings.ToJsonString());
    }
}
