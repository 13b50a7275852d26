using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Routing.TestKit;

/// <summary>
/// Which namespaces of an assembly use which others: by signatures, attributes, and what the code of methods names.
/// </summary>
/// <remarks>
/// Constants leave no trace in the code and are not seen. What the compiler makes counts for the type that it is made
/// for.
/// </remarks>
public sealed class NamespaceGraph
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance
            | BindingFlags.DeclaredOnly;

    private static readonly OpCode[] s_oneByte = new OpCode[256];
    private static readonly OpCode[] s_twoBytes = new OpCode[256];

    private readonly Assembly _assembly;
    private readonly SortedDictionary<string, SortedDictionary<string, string>> _edges = new(StringComparer.Ordinal);

    static NamespaceGraph()
    {
        foreach (var field in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            var code = (OpCode)field.GetValue(null)!;
            (code.Size == 1 ? s_oneByte : s_twoBytes)[code.Value & 0xFF] = code;
        }
    }

    /// <summary>Reads an assembly.</summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="apart">
    /// A namespace that does not count: the public face of a library, which lies above and below everything.
    /// </param>
    public NamespaceGraph(Assembly assembly, string? apart = null)
    {
        _assembly = assembly;
        foreach (var type in assembly.GetTypes().Where(type => type.Namespace != apart))
        {
            Read(type);
        }
    }

    /// <summary>
    /// Namespaces that use each other in a circle, each circle once, as a sentence with one use for each step. Empty:
    /// there is none.
    /// </summary>
    public IReadOnlyList<string> Circles()
    {
        var circles = new List<string>();
        foreach (var start in _edges.Keys)
        {
            // The shortest way back to the start, by way of namespaces that come later in the order: so each circle is
            // found once.
            var from = new Dictionary<string, string>(StringComparer.Ordinal);
            var queue = new Queue<string>([start]);
            while (queue.TryDequeue(out var at) && !from.ContainsKey(start))
            {
                foreach (var next in _edges.GetValueOrDefault(at)?.Keys ?? Enumerable.Empty<string>())
                {
                    if (string.CompareOrdinal(next, start) >= 0 && from.TryAdd(next, at))
                    {
                        queue.Enqueue(next);
                    }
                }
            }
            if (from.ContainsKey(start))
            {
                var steps = new List<string>();
                var to = start;
                do
                {
                    steps.Insert(0, $"{from[to]} uses {to} ({_edges[from[to]][to]})");
                    to = from[to];
                }
                while (to != start);
                circles.Add(string.Join(", ", steps));
            }
        }
        return circles;
    }

    private void Read(Type type)
    {
        Use(type, type.BaseType);
        UseAll(type, type.GetInterfaces());
        UseAll(type, type.GetFields(Everything).Select(field => field.FieldType));
        UseAll(type, type.GetCustomAttributesData().Select(one => one.AttributeType));
        foreach (var method in type.GetMethods(Everything).Cast<MethodBase>().Concat(type.GetConstructors(Everything)))
        {
            Use(type, (method as MethodInfo)?.ReturnType);
            UseAll(type, method.GetParameters().Select(parameter => parameter.ParameterType));
            if (method.GetMethodBody() is { } body)
            {
                UseAll(type, body.LocalVariables.Select(local => local.LocalType));
                UseAll(type, body.ExceptionHandlingClauses
                    .Where(clause => clause.Flags == ExceptionHandlingClauseOptions.Clause)
                        .Select(clause => clause.CatchType));
                ReadCode(type, method, body.GetILAsByteArray() ?? []);
            }
        }
    }

    private void ReadCode(Type type, MethodBase method, byte[] code)
    {
        var ofType = type.IsGenericType ? type.GetGenericArguments() : null;
        var ofMethod = method is MethodInfo { IsGenericMethod: true } ? method.GetGenericArguments() : null;
        for (var at = 0; at < code.Length;)
        {
            var operation = code[at] == 0xFE ? s_twoBytes[code[at + 1]] : s_oneByte[code[at]];
            at += operation.Size;
            switch (operation.OperandType)
            {
                case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok
                    or OperandType.InlineType:
                    var named = type.Module.ResolveMember(BitConverter.ToInt32(code, at), ofType, ofMethod)!;
                    Use(type, named as Type ?? named.DeclaringType);
                    UseAll(type, (named as MethodInfo)?.GetGenericArguments() ?? []);
                    at += 4;
                    break;
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    at += 1;
                    break;
                case OperandType.InlineVar:
                    at += 2;
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    at += 8;
                    break;
                case OperandType.InlineSwitch:
                    at += 4 + (4 * BitConverter.ToInt32(code, at));
                    break;
                default:
                    at += 4;
                    break;
            }
        }
    }

    private void UseAll(Type user, IEnumerable<Type?> used)
    {
        foreach (var one in used)
        {
            Use(user, one);
        }
    }

    private void Use(Type user, Type? used)
    {
        while (used is { HasElementType: true })
        {
            used = used.GetElementType();
        }
        if (used is null || used.IsGenericParameter)
        {
            return;
        }
        UseAll(user, used.IsConstructedGenericType ? used.GetGenericArguments() : []);
        if (used.Assembly == _assembly && used.Namespace is { } to && user.Namespace is { } from && from != to)
        {
            if (!_edges.TryGetValue(from, out var targets))
            {
                _edges.Add(from, targets = new(StringComparer.Ordinal));
            }
            targets.TryAdd(to, $"{Outer(user).Name} names {Outer(used).Name}");
        }
    }

    private static Type Outer(Type type)
    {
        while (type.DeclaringType is { } outer && (type.Name.Contains('<', StringComparison.Ordinal)
            || type.GetCustomAttribute<CompilerGeneratedAttribute>() is not null))
        {
            type = outer;
        }
        return type;
    }
}
