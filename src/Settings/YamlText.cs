using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Routing.Settings;

/// <summary>
/// Reads YAML into JSON nodes: anchors, merge keys, YAML 1.1 words. Of a key that stands twice the last value counts,
/// as in Patroni, where the caller takes the warning; else it is refused.
/// </summary>
public static class YamlText
{
    /// <summary>Reads one document whose root is a mapping; an empty text gives an empty tree.</summary>
    /// <param name="text">The YAML.</param>
    /// <param name="source">The file's or the variable's name, for messages.</param>
    /// <param name="warn">
    /// Takes a warning for each key that stands twice in one mapping; without it such a key is an error.
    /// </param>
    /// <exception cref="SettingsFormatException">It is no YAML, or no mapping.</exception>
    public static SettingsTree ReadMapping(string text, string source, Action<SettingsProblem>? warn = null)
    {
        var tree = new SettingsTree();
        tree.SetOrigin("", source);
        var composer = new Composer(text, source, tree, warn);
        switch (composer.ReadDocument())
        {
            case null:
                break;
            case JsonObject root:
                foreach (var (key, value) in root.ToList())
                {
                    root.Remove(key);
                    tree.Root[key] = value;
                }
                break;
            default:
                throw new SettingsFormatException(
                    new SettingsProblem(source, "", null, "must be a mapping of keys to values"));
        }
        return tree;
    }

    /// <summary>Reads one value of any kind.</summary>
    /// <param name="text">The YAML.</param>
    /// <param name="source">The variable's or the setting's name, for messages.</param>
    /// <param name="warn">As for <see cref="ReadMapping"/>.</param>
    /// <exception cref="SettingsFormatException">It is no YAML.</exception>
    public static JsonNode? ReadValue(string text, string source, Action<SettingsProblem>? warn = null) =>
        new Composer(text, source, null, warn).ReadDocument();

    private sealed class Composer(
        string text, string source, SettingsTree? tree, Action<SettingsProblem>? warn)
    {
        /// <summary>
        /// No real configuration reaches these limits; texts that grow without end by aliases or nesting do.
        /// </summary>
        private const int MaximumDepth = 100;
        private const int MaximumNodes = 100_000;

        private readonly Parser _parser = new(new StringReader(text));
        private readonly Dictionary<string, JsonNode?> _anchors = new(StringComparer.Ordinal);
        private int _depth;
        private int _nodes;

        public JsonNode? ReadDocument()
        {
            CheckCharacters();
            try
            {
                _parser.Consume<StreamStart>();
                if (_parser.Accept<StreamEnd>(out _))
                {
                    return null;
                }
                _parser.Consume<DocumentStart>();
                var node = Read("");
                _parser.Consume<DocumentEnd>();
                if (_parser.Accept<DocumentStart>(out var second))
                {
                    throw Wrong(second.Start, "", null, "a second document begins here; only one is read");
                }
                return node;
            }
            catch (YamlException e)
            {
                var until = e.End.Line > e.Start.Line
                    ? string.Create(CultureInfo.InvariantCulture, $" (seen in line {e.End.Line})")
                    : "";
                throw Wrong(e.Start, "", null, $"is no valid YAML: {e.InnerException?.Message ?? e.Message}{until}");
            }
            catch (Exception e) when (e is not SettingsFormatException)
            {
                // The parser throws other exceptions for some texts, such as a bracket that is not closed.
                throw Wrong(_parser.Current?.End ?? Mark.Empty, "", null,
                    $"is no valid YAML from here on: {e.Message}");
            }
        }

        /// <summary>A character that YAML forbids is mostly invisible: it is named by its number.</summary>
        private void CheckCharacters()
        {
            var line = 1;
            for (var at = 0; at < text.Length; at++)
            {
                var letter = text[at];
                line += letter == '\n' ? 1 : 0;
                var isAllowed = letter is '\t' or '\n' or '\r' or '\u0085' or '\uFEFF'
                    || !(char.IsControl(letter) || char.IsSurrogate(letter) || letter > '\uFFFD');
                if (isAllowed || char.IsHighSurrogate(letter) && at + 1 < text.Length
                    && char.IsLowSurrogate(text[at + 1]))
                {
                    at += isAllowed ? 0 : 1;
                    continue;
                }
                throw Wrong(new Mark(at, line, 1), "", null, string.Create(CultureInfo.InvariantCulture,
                    $"has the character U+{(int)letter:X4}, which YAML does not allow")
                    + (letter == '\0' ? " (is this UTF-16, or no text at all?)" : ""));
            }
        }

        private JsonNode? Read(string path)
        {
            var at = _parser.Current?.Start ?? Mark.Empty;
            if (++_depth > MaximumDepth || ++_nodes > MaximumNodes)
            {
                throw Wrong(at, "", null, string.Create(CultureInfo.InvariantCulture,
                    $"is no configuration: it has more than {MaximumDepth} levels or {MaximumNodes} values"));
            }
            var node = ReadNode(path);
            _depth--;
            return node;
        }

        private JsonNode? ReadNode(string path)
        {
            if (_parser.TryConsume<AnchorAlias>(out var alias))
            {
                if (!_anchors.TryGetValue(alias.Value.Value, out var target))
                {
                    throw Wrong(alias.Start, path, alias.Value.Value,
                        "no such anchor stands before this alias (a text that begins with * needs quotes)");
                }
                _nodes += Count(target, MaximumNodes);
                return target?.DeepClone();
            }
            if (_parser.TryConsume<Scalar>(out var scalar))
            {
                return Remember(scalar.Anchor, ReadScalar(scalar, path));
            }
            if (_parser.TryConsume<SequenceStart>(out var sequence))
            {
                var list = new JsonArray();
                for (var index = 0; !_parser.TryConsume<SequenceEnd>(out _); index++)
                {
                    var itemPath = string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]");
                    tree?.SetOrigin(itemPath, At(_parser.Current!.Start));
                    list.Add(Read(itemPath));
                }
                return Remember(sequence.Anchor, list);
            }
            return ReadMappingNode(_parser.Consume<MappingStart>(), path);
        }

        private JsonNode? ReadMappingNode(MappingStart start, string path)
        {
            var own = new JsonObject();
            var lines = new Dictionary<string, long>(StringComparer.Ordinal);
            var merged = new JsonObject();
            while (!_parser.TryConsume<MappingEnd>(out _))
            {
                var keyAt = _parser.Current!.Start;
                if (!_parser.TryConsume<Scalar>(out var key))
                {
                    throw Wrong(keyAt, path, null,
                        "a key must be a plain word (a text that begins with { needs quotes)");
                }
                if (key is { Value: "<<", Style: ScalarStyle.Plain })
                {
                    Merge(merged, Read(path), keyAt, path);
                    continue;
                }
                var keyPath = SettingsTree.Join(path, key.Value);
                if (lines.TryGetValue(key.Value, out var earlier))
                {
                    NoteRepeated(keyAt, keyPath, earlier);
                }
                lines[key.Value] = keyAt.Line;
                tree?.SetOrigin(keyPath, At(keyAt));
                own[key.Value] = Read(keyPath);
            }
            foreach (var (key, value) in merged)
            {
                if (!own.ContainsKey(key))
                {
                    own[key] = value?.DeepClone();
                }
            }
            return Remember(start.Anchor, own);
        }

        private void NoteRepeated(Mark at, string path, long earlier)
        {
            const string twice = "this key stands twice in the same mapping";
            if (warn is null)
            {
                throw Wrong(at, path, null, twice);
            }
            warn(Problem(at, path, null, string.Create(CultureInfo.InvariantCulture,
                $"{twice}: what stands here counts, and what stands in line {earlier} has no effect")));
        }

        /// <summary>In a list of mappings the first that has a key counts; of two merge keys the last.</summary>
        private void Merge(JsonObject merged, JsonNode? value, Mark at, string path)
        {
            var ofThis = new HashSet<string>(StringComparer.Ordinal);
            foreach (var item in value is JsonArray list ? list : [value?.DeepClone()])
            {
                if (item is not JsonObject mapping)
                {
                    throw Wrong(at, path, null, "the merge key << needs a mapping or a list of mappings");
                }
                foreach (var (key, inner) in mapping)
                {
                    if (ofThis.Add(key))
                    {
                        merged[key] = inner?.DeepClone();
                    }
                }
            }
        }

        private JsonNode? ReadScalar(Scalar scalar, string path)
        {
            var tag = scalar.Tag.IsEmpty ? "" : scalar.Tag.Value;
            return tag switch
            {
                "" => scalar.Style == ScalarStyle.Plain
                    ? YamlScalar.Resolve(scalar.Value)
                    : JsonValue.Create(scalar.Value),
                "!" or "tag:yaml.org,2002:str" => JsonValue.Create(scalar.Value),
                "tag:yaml.org,2002:int" or "tag:yaml.org,2002:float" or "tag:yaml.org,2002:bool"
                    or "tag:yaml.org,2002:null" when YamlScalar.Resolve(scalar.Value) is var resolved =>
                    resolved?.GetValueKind() == JsonValueKind.String
                        ? throw Wrong(scalar.Start, path, scalar.Value, $"is not what its YAML tag {tag} says")
                        : resolved,
                _ => throw Wrong(scalar.Start, path, scalar.Value, $"the YAML tag {tag} is not understood"),
            };
        }

        private static int Count(JsonNode? node, int limit)
        {
            var count = 1;
            var inner = node switch
            {
                JsonObject map => map.Select(pair => pair.Value),
                JsonArray list => list,
                _ => Enumerable.Empty<JsonNode?>(),
            };
            foreach (var item in inner)
            {
                count += count < limit ? Count(item, limit - count) : 0;
            }
            return count;
        }

        private JsonNode? Remember(AnchorName anchor, JsonNode? node)
        {
            if (!anchor.IsEmpty)
            {
                _anchors[anchor.Value] = node?.DeepClone();
            }
            return node;
        }

        private string At(Mark mark) => string.Create(CultureInfo.InvariantCulture, $"{source}:{mark.Line}");

        private SettingsFormatException Wrong(Mark at, string path, string? value, string message) =>
            new(Problem(at, path, value, message));

        private SettingsProblem Problem(Mark at, string path, string? value, string message) =>
            new(At(at), path, value, message) { IsOfSyntax = true };
    }
}
