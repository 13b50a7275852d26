using Etcdserverpb;
using Google.Protobuf;
using Mvccpb;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Dcs.Etcd;

/// <summary>The keys of one cluster in etcd, and the requests that name them.</summary>
internal sealed class EtcdKeys(string basePath)
{
    private readonly string _prefix = basePath + "/";

    /// <summary>The base path with its slash: scope <c>pay</c> never sees scope <c>pay2</c>.</summary>
    public ByteString Prefix { get; } = ByteString.CopyFromUtf8(basePath + "/");

    /// <summary>The first key behind all that begin with the prefix.</summary>
    public ByteString PrefixEnd { get; } = ByteString.CopyFromUtf8(basePath + "0");   // '0' follows '/'

    public ByteString this[string key] => ByteString.CopyFromUtf8(_prefix + key);

    public RangeRequest ReadAll => new() { Key = Prefix, RangeEnd = PrefixEnd };

    public RangeRequest ReadOne(string key) => new() { Key = this[key] };

    public string NameOf(ByteString key) => key.ToStringUtf8()[_prefix.Length..];

    public RawKey Raw(KeyValue pair) =>
        new(NameOf(pair.Key), pair.Value.ToStringUtf8(), pair.CreateRevision, pair.ModRevision, pair.Lease);

    public static LeaderKey? Leader(KeyValue? pair, int life) =>
        pair is null
            ? null
            : new(pair.Value.ToStringUtf8(), new Term(pair.CreateRevision, life), pair.ModRevision, pair.Lease);

    public Compare? Condition(string key, WriteCondition condition) => condition.What switch
    {
        WriteCondition.Kind.Absent => new Compare
        {
            Key = this[key],
            Target = Compare.Types.CompareTarget.Create,
            Result = Compare.Types.CompareResult.Equal,
            CreateRevision = 0,
        },
        WriteCondition.Kind.Unchanged => ModIs(key, condition.Revision),
        _ => null,
    };

    public Compare ModIs(string key, long revision) => new()
    {
        Key = this[key],
        Target = Compare.Types.CompareTarget.Mod,
        Result = Compare.Types.CompareResult.Equal,
        ModRevision = revision,
    };

    public Compare ValueIs(string key, string value) => new()
    {
        Key = this[key],
        Target = Compare.Types.CompareTarget.Value,
        Result = Compare.Types.CompareResult.Equal,
        Value = ByteString.CopyFromUtf8(value),
    };

    /// <summary>One write on its conditions; when they do not hold, the key as it is.</summary>
    public TxnRequest Transaction(string key, RequestOp write, params ReadOnlySpan<Compare?> conditions)
    {
        var transaction = new TxnRequest();
        foreach (var condition in conditions)
        {
            if (condition is not null)
            {
                transaction.Compare.Add(condition);
            }
        }
        transaction.Success.Add(write);
        transaction.Failure.Add(new RequestOp { RequestRange = ReadOne(key) });
        return transaction;
    }

    public RequestOp Put(string key, string value, long leaseId) =>
        new() { RequestPut =
            new PutRequest { Key = this[key], Value = ByteString.CopyFromUtf8(value), Lease = leaseId } };

    public RequestOp Delete(string key) => new() { RequestDeleteRange = new DeleteRangeRequest { Key = this[key] } };

    /// <summary>The key that a transaction's failure branch has read.</summary>
    public static KeyValue? Seen(TxnResponse answer) => answer.Responses[0].ResponseRange.Kvs.FirstOrDefault();
}
