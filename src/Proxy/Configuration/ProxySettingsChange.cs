using System.Collections.Immutable;
using Routing.Dcs;

namespace Routing.Proxy.Configuration;

/// <summary>What a re-read configuration changes in a running proxy.</summary>
/// <param name="Effective">The new settings, with everything that can't change in a running process as it was.</param>
/// <param name="NeedRestart">
/// The settings that were changed and take effect only when the proxy starts again, by path.
/// </param>
internal sealed record ProxySettingsChange(ProxySettings Effective, ImmutableArray<string> NeedRestart)
{
    /// <summary>Compares the settings in force with newly read ones.</summary>
    public static ProxySettingsChange Between(ProxySettings current, ProxySettings next)
    {
        var changed = ImmutableArray.CreateBuilder<string>();
        Note("etcd3", AreSame(current.Etcd, next.Etcd));
        Note("rest", AreSame(current.Rest, next.Rest));
        var effective = next with
        {
            Scope = Keep("scope", current.Scope, next.Scope),
            Namespace = Keep("namespace", current.Namespace, next.Namespace),
            Etcd = current.Etcd,
            Rest = current.Rest,
            Admin = Keep("admin.listen", current.Admin, next.Admin),
            Transport = Keep("transport", current.Transport, next.Transport),
            Loops = Keep("loops", current.Loops, next.Loops),
            Favor = Keep("favor", current.Favor, next.Favor),
            ReusePort = Keep("reuse_port", current.ReusePort, next.ReusePort),
            TakeOver = Keep("take_over", current.TakeOver, next.TakeOver),
            Log = next.Log with
            {
                MaximumQueueLength =
                    Keep("log.max_queue_size", current.Log.MaximumQueueLength, next.Log.MaximumQueueLength),
            },
        };
        return new ProxySettingsChange(effective, changed.ToImmutable());

        T Keep<T>(string path, T old, T wanted)
        {
            Note(path, EqualityComparer<T>.Default.Equals(old, wanted));
            return old;
        }

        void Note(string path, bool isSame)
        {
            if (!isSame)
            {
                changed.Add(path);
            }
        }
    }

    private static bool AreSame(EtcdOptions? one, EtcdOptions? other) => one is null || other is null
        ? one == other
        : one.Endpoints.SequenceEqual(other.Endpoints) && one with { Endpoints = other.Endpoints } == other;

    private static bool AreSame(RestOptions? one, RestOptions? other) => one is null || other is null
        ? one == other
        : one.Endpoints.SequenceEqual(other.Endpoints) && one with { Endpoints = other.Endpoints } == other;
}
