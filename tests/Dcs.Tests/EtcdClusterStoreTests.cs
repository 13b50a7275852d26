namespace Routing.Dcs.Tests;

[Trait("Category", "Integration")]
public sealed class EtcdClusterStoreKeepsTheContract(EtcdFixture etcd)
    : ClusterStoreContract, IClassFixture<EtcdFixture>
{
    private readonly string _scope = Stores.NewScope();

    protected override IClusterStore Connect() => Stores.Connect([etcd.Server.Endpoint], _scope);
}
