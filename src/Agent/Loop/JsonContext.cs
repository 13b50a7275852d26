using System.Text.Json;
using System.Text.Json.Serialization;

namespace Routing.Agent.Loop;

[JsonSerializable(typeof(JsonElement))]
internal sealed partial class JsonContext : JsonSerializerContext;
