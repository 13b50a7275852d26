using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Routing.Driver.Tests;

/// <summary>
/// Npgsql 11 plans to drop multiplexing, to let blocking calls throw, and to merge its package for dependency
/// injection: the driver depends on none of them.
/// </summary>
public sealed class NextNpgsqlTests
{
    private static readonly string[] s_blocking =
    [
        "Open", "OpenConnection", "ExecuteReader", "ExecuteDbDataReader", "ExecuteNonQuery", "ExecuteScalar", "Prepare",
        "BeginTransaction", "BeginDbTransaction", "Commit", "Rollback", "Save", "Release", "Read", "NextResult", "Wait",
        "ReloadTypes", "BeginBinaryImport", "BeginBinaryExport", "BeginTextImport", "BeginTextExport", "ChangeDatabase",
    ];

    public static TheoryData<Assembly> Assemblies =>
    [
        typeof(RoutingDataSource).Assembly,
        typeof(Microsoft.EntityFrameworkCore.RoutingDbContextOptionsExtensions).Assembly,
    ];

    /// <summary>
    /// Opens that block the caller's thread wait for Npgsql's asynchronous ones. What is left is the question for the
    /// role of a server before PostgreSQL 14, in what Npgsql itself calls while an application opens by
    /// <c>NpgsqlConnection.Open</c>: where that throws, it is not reached.
    /// </summary>
    [Theory]
    [MemberData(nameof(Assemblies))]
    public void The_driver_calls_nothing_of_Npgsql_that_blocks(Assembly assembly)
    {
        var calls = CallsOf(assembly).Where(call =>
            (call.Namespace is "Npgsql" or "System.Data.Common") && s_blocking.Contains(call.Name));

        Assert.Equal(
            assembly == typeof(RoutingDataSource).Assembly ? ["DbCommand.ExecuteScalar"] : [],
            calls.Select(call => $"{call.Type}.{call.Name}").Distinct());
    }

    [Theory]
    [MemberData(nameof(Assemblies))]
    public void The_driver_uses_no_other_package_of_Npgsql(Assembly assembly) => Assert.All(
        assembly.GetReferencedAssemblies(),
        reference => Assert.True(
            reference.Name == "Npgsql" || !reference.Name!.StartsWith("Npgsql", StringComparison.Ordinal),
            reference.Name));

    /// <summary>Every method of another assembly that an assembly names.</summary>
    private static List<(string Namespace, string Type, string Name)> CallsOf(Assembly assembly)
    {
        using var file = new PEReader(File.OpenRead(assembly.Location));
        var metadata = file.GetMetadataReader();
        var calls = new List<(string Namespace, string Type, string Name)>();
        foreach (var handle in metadata.MemberReferences)
        {
            var member = metadata.GetMemberReference(handle);
            if (member.Parent.Kind == HandleKind.TypeReference)
            {
                var type = metadata.GetTypeReference((TypeReferenceHandle)member.Parent);
                calls.Add((
                    metadata.GetString(type.Namespace), metadata.GetString(type.Name),
                    metadata.GetString(member.Name)));
            }
        }
        Assert.NotEmpty(calls);
        return calls;
    }
}
