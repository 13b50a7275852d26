using Etcdserverpb;
using Grpc.Net.Client;

namespace Routing.Dcs.Tests;

/// <summary>What tests ask etcd for beside the store.</summary>
internal static class RawEtcd
{
    public static async Task CompactAsync(Uri endpoint, long revision)
    {
        using var channel = GrpcChannel.ForAddress(endpoint);
        await new KV.KVClient(channel).CompactAsync(new CompactionRequest { Revision = revision, Physical = true });
    }

    public static async Task<bool> IsLeaderAsync(Uri endpoint)
    {
        using var channel = GrpcChannel.ForAddress(endpoint);
        var status = await new Maintenance.MaintenanceClient(channel).StatusAsync(new StatusRequest());
        return status.Leader == status.Header.MemberId;
    }

    /// <summary>Switches authentication on: <c>root</c>, and a user who may read and write one prefix.</summary>
    public static async Task EnableAuthAsync(Uri endpoint, string user, string password, string prefix)
    {
        using var channel = GrpcChannel.ForAddress(endpoint);
        var auth = new Auth.AuthClient(channel);
        await auth.UserAddAsync(new AuthUserAddRequest { Name = "root", Password = "root-secret" });
        await auth.RoleAddAsync(new AuthRoleAddRequest { Name = "root" });
        await auth.UserGrantRoleAsync(new AuthUserGrantRoleRequest { User = "root", Role = "root" });
        await auth.UserAddAsync(new AuthUserAddRequest { Name = user, Password = password });
        await auth.RoleAddAsync(new AuthRoleAddRequest { Name = "agents" });
        await auth.RoleGrantPermissionAsync(new AuthRoleGrantPermissionRequest
        {
            Name = "agents",
            Perm = new Authpb.Permission
            {
                PermType = Authpb.Permission.Types.Type.Readwrite,
                Key = Google.Protobuf.ByteString.CopyFromUtf8(prefix + "/"),
                RangeEnd = Google.Protobuf.ByteString.CopyFromUtf8(prefix + "0"),
            },
        });
        await auth.UserGrantRoleAsync(new AuthUserGrantRoleRequest { User = user, Role = "agents" });
        await auth.AuthEnableAsync(new AuthEnableRequest());
    }

    /// <summary>Gives a user another password, as the administrator.</summary>
    public static async Task ChangePasswordAsync(Uri endpoint, string user, string password)
    {
        using var channel = GrpcChannel.ForAddress(endpoint);
        var auth = new Auth.AuthClient(channel);
        var login = await auth.AuthenticateAsync(new AuthenticateRequest { Name = "root", Password = "root-secret" });
        await auth.UserChangePasswordAsync(
            new AuthUserChangePasswordRequest { Name = user, Password = password },
            new Grpc.Core.Metadata { { "authorization", login.Token } });
    }
}
