using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Routing.Agent.Config;
using Routing.Agent.Status;
using Routing.Cluster;
using Routing.Cluster.Keys;

namespace Routing.Agent.Rest;

/// <summary>
/// What the servers of a remote cluster are, asked by this member with its own users: <c>POST /remote</c>. A switch of
/// two clusters is decided by it.
/// </summary>
internal sealed class RemoteRequest(IAgentControl control, TimeProvider time)
{
    /// <summary>Answers when each server has, or has been given up.</summary>
    public async Task AnswerAsync(HttpContext context, RestSettings settings)
    {
        var (body, code, problem) = await RequestBody.ReadOptionalObjectAsync(context);
        if (body is not { } json)
        {
            await context.ErrorAsync(settings, code, problem);
            return;
        }
        var remote = control.Status.Config.StandbyCluster;
        if (json.EnumerateObject().Any())
        {
            var named = new JsonObject { ["standby_cluster"] = JsonNode.Parse(json.GetRawText()) };
            var read = DynamicConfigReader.Read(JsonElement.Parse(named.ToJsonString()), 0);
            if (!read.Problems.IsEmpty)
            {
                await context.ErrorAsync(settings, StatusCodes.Status400BadRequest, string.Join(' ', read.Problems));
                return;
            }
            remote = read.StandbyCluster;
        }
        if (remote is null)
        {
            await context.ErrorAsync(
                settings, StatusCodes.Status400BadRequest,
                "No remote cluster is configured (standby_cluster), and the body names none.");
            return;
        }
        var servers = await control.AskRemoteAsync(remote.Hosts, context.RequestAborted);
        var status = control.Status;
        var view = new HealthView(status, time);
        await context.JsonAsync(settings, StatusCodes.Status200OK, answer =>
        {
            answer.WriteStartObject();
            answer.WriteString("role", view.Role.ToWire());
            answer.WriteString("system_id", status.SystemId);
            answer.WriteNumber("timeline", status.Postgres.Timeline);
            answer.WriteString("position", status.Postgres.WalPosition.ToString());
            answer.WriteStartArray("remote");
            foreach (var server in servers)
            {
                answer.WriteStartObject();
                answer.WriteString("host", server.Address.Host);
                answer.WriteNumber("port", server.Address.Port);
                if (server.Problem is { } why)
                {
                    answer.WriteString("problem", why);
                }
                else
                {
                    answer.WriteString("system_id", server.SystemId);
                    answer.WriteBoolean("in_recovery", server.IsInRecovery);
                    answer.WriteNumber("timeline", server.Timeline);
                    answer.WriteString("position", server.Position.ToString());
                }
                answer.WriteEndObject();
            }
            answer.WriteEndArray();
            answer.WriteEndObject();
        });
    }
}
