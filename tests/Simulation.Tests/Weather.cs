using System.Globalization;
using System.Text.RegularExpressions;
using Routing.Cluster;

namespace Routing.Simulation.Tests;

/// <summary>Makes things go wrong, and puts them right again.</summary>
internal sealed partial class Weather(SimCluster cluster)
{
    private readonly SimWorld _world = cluster.World;
    private bool _over;

    public void Begin()
    {
        if (cluster.Options.Faults.Count > 0)
        {
            Next();
        }
    }

    /// <summary>Everything is put right, and stays so.</summary>
    public void End()
    {
        _over = true;
        cluster.Dcs.IsDown = false;
        SetPause(false);
        SetTtl(cluster.Options.Ttl);
        foreach (var node in cluster.Nodes)
        {
            node.IsCutFromDcs = false;
            node.DcsDelay = null;
            cluster.Network.Join(node.Name);
            RepairServer(node);
            node.Server.IsSlow = false;
            node.Server.IsUnresponsive = false;
            node.Server.StartTime = () => _world.Between(50, 800);
            node.Agent?.Process.Thaw();
            node.ApplyLinks();
            node.PowerOn();
            node.StartAgent();
        }
    }

    private void Next() => _world.At(cluster.Options.MeanPause * (0.05 + (-Math.Log(1 - _world.Random.NextDouble()))), () =>
    {
        if (!_over)
        {
            Strike(_world.Pick(cluster.Options.Faults), _world.Chance(0.6) && cluster.Leader is { } leader ? leader : _world.Pick(cluster.Nodes));
            Next();
        }
    });

    private TimeSpan Lasting() => TimeSpan.FromSeconds(cluster.Options.Ttl) * (0.05 + (_world.Random.NextDouble() * 2));

    private void Later(Action undo) => _world.At(Lasting(), () =>
    {
        if (!_over)
        {
            undo();
        }
    });

    private void Strike(Fault fault, SimNode node)
    {
        _world.Note(node.Name, $"--- {fault}");
        switch (fault)
        {
            case Fault.KillAgent:
                node.KillAgent("a fault");
                Later(node.StartAgent);
                break;
            case Fault.KillPostmaster:
                node.Server.Kill("a fault");
                break;
            case Fault.KillNode:
                node.Kill();
                Later(node.PowerOn);
                break;
            case Fault.FreezeAgent:
                if (node.Agent?.Process is { } process)
                {
                    process.Freeze();
                    Later(process.Thaw);
                }
                break;
            case Fault.StopAgent:
                node.Agent?.Stop();
                break;
            case Fault.CutFromDcs:
                CutFromDcs(node, true);
                Later(() => CutFromDcs(node, false));
                break;
            case Fault.CutFromPeers:
                cluster.Network.Isolate(node.Name);
                Later(() => cluster.Network.Join(node.Name));
                break;
            case Fault.CutOff:
                cluster.Network.Isolate(node.Name);
                CutFromDcs(node, true);
                Later(() =>
                {
                    cluster.Network.Join(node.Name);
                    CutFromDcs(node, false);
                });
                break;
            case Fault.DcsOutage:
                cluster.Dcs.IsDown = true;
                Later(() => cluster.Dcs.IsDown = false);
                break;
            case Fault.LoseAnswers:
                node.Agent?.Store.LoseAnswers(_world.Random.Next(1, 6));
                break;
            case Fault.SlowDcs:
                node.DcsDelay = () => _world.Between(1, 1500);
                node.ApplyLinks();
                Later(() =>
                {
                    node.DcsDelay = null;
                    node.ApplyLinks();
                });
                break;
            case Fault.SlowStandby:
                node.Server.IsSlow = true;
                Later(() => node.Server.IsSlow = false);
                break;
            case Fault.FailStarts:
                node.Server.FailingStarts = _world.Random.Next(1, 4);
                node.Server.Kill("a fault");
                break;
            case Fault.SlowStart:
                node.Server.StartTime = () => _world.Between(2000, 12000);
                node.Server.Kill("a fault");
                Later(() => node.Server.StartTime = () => _world.Between(50, 800));
                break;
            case Fault.Unresponsive:
                node.Server.IsUnresponsive = node.Server.Life == Life.Up;
                Later(() => node.Server.IsUnresponsive = false);
                break;
            case Fault.Switchover:
                Request(isSwitchover: true);
                break;
            case Fault.Failover:
                Request(isSwitchover: false);
                break;
            case Fault.ChangeTimes:
                SetTtl(_world.Pick([3, 5, 8, SimOptions.LongTtl, SimOptions.LongTtl]));
                break;
            case Fault.Pause:
                SetPause(true);
                Later(() => SetPause(false));
                break;
            default:
                StrikeServer(fault, node);
                break;
        }
    }

    private static void CutFromDcs(SimNode node, bool isCut)
    {
        node.IsCutFromDcs = isCut;
        node.ApplyLinks();
    }

    private void Request(bool isSwitchover)
    {
        if (cluster.Dcs.Snapshot.Leader?.Holder is not { } leader)
        {
            return;
        }
        var others = cluster.Nodes.Where(n => n.Name != leader).Select(n => n.Name).ToList();
        var isSynchronous = cluster.Options.Mode != SynchronousMode.Off;
        if (isSynchronous)
        {
            // A failover to an asynchronous member is the operator's own decision to lose commits.
            others = [.. others.Where(cluster.Dcs.Snapshot.Sync.Standbys.Contains)];
        }
        var candidate = others.Count > 0 && (!isSwitchover || _world.Chance(0.7)) ? _world.Pick(others) : null;
        if (!isSwitchover && candidate is null)
        {
            return;
        }
        cluster.Invariants.LossAllowedTo = isSwitchover ? null : candidate;
        var fields = new List<string>();
        if (isSwitchover)
        {
            fields.Add($"\"leader\":\"{leader}\"");
        }
        if (candidate is not null)
        {
            fields.Add($"\"member\":\"{candidate}\"");
        }
        cluster.Dcs.Put(ClusterKeys.Failover, "{" + string.Join(',', fields) + "}");
    }

    private void SetTtl(int seconds)
    {
        if (cluster.Dcs.Snapshot.Config is not { } config)
        {
            return;
        }
        var text = config.Raw.GetRawText();
        var changed = TtlOf().Replace(text, string.Create(CultureInfo.InvariantCulture, $"\"ttl\":{seconds}"));
        if (changed != text)
        {
            cluster.Dcs.Put(ClusterKeys.Config, changed);
        }
    }

    [GeneratedRegex("\"ttl\":[0-9]+")]
    private static partial Regex TtlOf();

    private void SetPause(bool paused)
    {
        if (cluster.IsPaused == paused || cluster.Dcs.Snapshot.Config is not { } config)
        {
            return;
        }
        var text = config.Raw.GetRawText();
        cluster.Dcs.Put(ClusterKeys.Config, paused
            ? text.TrimEnd()[..^1] + ",\"pause\":true}"
            : text.Replace(",\"pause\":true", "", StringComparison.Ordinal));
    }
}
