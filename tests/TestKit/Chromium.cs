using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Routing.TestKit;

/// <summary>One page in a headless Chromium, driven by the DevTools protocol.</summary>
public sealed class Chromium : IAsyncDisposable
{
    private static readonly string[] s_programs = ["chromium-headless-shell", "chromium", "google-chrome"];
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly OrdinaryProcess _process;
    private readonly TempDirectory _home;
    private readonly ClientWebSocket _socket = new();
    private readonly CancellationTokenSource _end = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonNode>> _asked = new();
    private readonly ConcurrentQueue<string> _complaints = new();
    private Task _reading = Task.CompletedTask;
    private volatile TaskCompletionSource? _loaded;
    private int _number;

    private Chromium(OrdinaryProcess process, TempDirectory home) => (_process, _home) = (process, home);

    /// <summary>The program; null where there is none.</summary>
    public static string? Program { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .SelectMany(folder => s_programs.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);

    /// <summary>What the console complained about: exceptions, errors, and what the policy of a page forbade.</summary>
    public IReadOnlyCollection<string> Complaints => _complaints;

    /// <summary>Starts the program with one empty page.</summary>
    public static async Task<Chromium> StartAsync()
    {
        var program = Program ?? throw new InvalidOperationException("There is no Chromium.");
        var home = new TempDirectory();
        OrdinaryProcess.GiveAway(home.Path);
        var process = OrdinaryProcess.Start(
            Path.Combine(home.Path, "chromium.log"), home.Path, program, "--headless", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--remote-debugging-port=0",
            $"--user-data-dir={Path.Combine(home.Path, "profile")}", "about:blank");
        var chromium = new Chromium(process, home);
        try
        {
            await chromium.ConnectAsync();
            return chromium;
        }
        catch
        {
            await chromium.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens an address, and waits until the page is there.</summary>
    public async Task OpenAsync(Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        var loaded = _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await SendAsync("Page.navigate", new JsonObject { ["url"] = address.AbsoluteUri });
        await loaded.Task.WaitAsync(s_patience, _end.Token);
    }

    /// <summary>Shows the page as on a screen of this size.</summary>
    public Task ResizeAsync(int width, int height, bool isPhone = false) => SendAsync(
        "Emulation.setDeviceMetricsOverride",
        new JsonObject { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = isPhone });

    /// <summary>Says whether the person prefers dark pages.</summary>
    public Task PreferDarkAsync(bool isDark) => SendAsync(
        "Emulation.setEmulatedMedia",
        new JsonObject
        {
            ["features"] = new JsonArray(new JsonObject
            {
                ["name"] = "prefers-color-scheme",
                ["value"] = isDark ? "dark" : "light",
            }),
        });

    /// <summary>The value of an expression; null for nothing.</summary>
    public async Task<JsonNode?> EvaluateAsync(string expression)
    {
        var answer = await SendAsync("Runtime.evaluate", new JsonObject
        {
            ["expression"] = expression,
            ["returnByValue"] = true,
            ["awaitPromise"] = true,
            ["userGesture"] = true,
        });
        return answer["exceptionDetails"] is { } wrong
            ? throw new InvalidOperationException($"{expression}: {wrong.ToJsonString()}")
            : answer["result"]!["value"]?.DeepClone();
    }

    /// <summary>Waits until an expression is true.</summary>
    public Task UntilAsync(string expression, string what) => WaitUntil.TrueAsync(
        async () => await EvaluateAsync(expression) is JsonValue value
            && value.TryGetValue<bool>(out var holds) && holds,
        s_patience, what);

    /// <summary>Presses the left button on the middle of an element, as a person does.</summary>
    public async Task ClickAsync(string selector)
    {
        var quoted = JsonSerializer.Serialize(selector);
        await UntilAsync($"document.querySelector({quoted})?.checkVisibility() ?? false", $"{selector} is to be seen");
        var place = (await EvaluateAsync(
            $"(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{ block: 'center' }}); "
                + "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"))!
            .AsArray();
        foreach (var kind in new[] { "mousePressed", "mouseReleased" })
        {
            await SendAsync("Input.dispatchMouseEvent", new JsonObject
            {
                ["type"] = kind,
                ["x"] = place[0]!.DeepClone(),
                ["y"] = place[1]!.DeepClone(),
                ["button"] = "left",
                ["clickCount"] = 1,
            });
        }
    }

    /// <summary>Types a text into an element, in place of what stands there.</summary>
    public async Task TypeAsync(string selector, string text)
    {
        await EvaluateAsync($"document.querySelector({JsonSerializer.Serialize(selector)}).select()");
        await SendAsync("Input.insertText", new JsonObject { ["text"] = text });
    }

    /// <summary>The page as a PNG, whole.</summary>
    public async Task<byte[]> ScreenshotAsync()
    {
        // What changed last is drawn with the next frame but one.
        await EvaluateAsync("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))");
        var answer = await SendAsync("Page.captureScreenshot", new JsonObject
        {
            ["format"] = "png",
            ["captureBeyondViewport"] = true,
        });
        return Convert.FromBase64String(answer["data"]!.GetValue<string>());
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _reading;
        _socket.Dispose();
        // Debian's command is a script that waits for the program: each of them names our directory. The program's
        // children end when it is gone.
        await WaitUntil.TrueAsync(
            () =>
            {
                var left = OrdinaryProcess.Find(_home.Path);
                foreach (var (id, _) in left)
                {
                    OrdinaryProcess.Send(id, ProcessSignal.Kill);
                }
                return left.Count == 0;
            },
            s_patience, "the browser's processes are gone");
        await _process.WaitForExitAsync(s_patience);
        _process.Dispose();
        // The last of them may still write while we remove what they wrote.
        await WaitUntil.TrueAsync(TryRemoveHome, s_patience, "the browser's files are removed");
        _end.Dispose();
        _sending.Dispose();
    }

    private bool TryRemoveHome()
    {
        try
        {
            _home.Dispose();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private async Task ConnectAsync()
    {
        // The program writes its port here, when it listens.
        var file = Path.Combine(_home.Path, "profile", "DevToolsActivePort");
        string[] lines = [];
        await WaitUntil.TrueAsync(
            () => File.Exists(file) && (lines = File.ReadAllLines(file)).Length > 1, s_patience, "Chromium listens");
        using var http = new HttpClient();
        JsonNode? page = null;
        await WaitUntil.TrueAsync(
            async () => (page = JsonNode.Parse(await http.GetStringAsync($"http://127.0.0.1:{lines[0]}/json/list"))!
                .AsArray().FirstOrDefault(one => one!["type"]!.GetValue<string>() == "page")) is not null,
            s_patience, "Chromium has a page");
        await _socket.ConnectAsync(
            new Uri(page!["webSocketDebuggerUrl"]!.GetValue<string>()), _end.Token);
        _reading = ReadAsync();
        foreach (var domain in new[] { "Page", "Runtime", "Log" })
        {
            await SendAsync($"{domain}.enable", []);
        }
    }

    private async Task<JsonNode> SendAsync(string method, JsonObject parameters)
    {
        var number = Interlocked.Increment(ref _number);
        var answer = new TaskCompletionSource<JsonNode>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked[number] = answer;
        var message = new JsonObject { ["id"] = number, ["method"] = method, ["params"] = parameters };
        await _sending.WaitAsync(_end.Token);
        try
        {
            await _socket.SendAsync(
                JsonSerializer.SerializeToUtf8Bytes<JsonNode>(message), WebSocketMessageType.Text, true, _end.Token);
        }
        finally
        {
            _sending.Release();
        }
        var json = await answer.Task.WaitAsync(s_patience, _end.Token);
        return json["error"] is { } error
            ? throw new InvalidOperationException($"{method}: {error.ToJsonString()}")
            : json["result"]!;
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                using var message = new MemoryStream();
                ValueWebSocketReceiveResult part;
                do
                {
                    part = await _socket.ReceiveAsync(buffer.AsMemory(), _end.Token);
                    message.Write(buffer, 0, part.Count);
                }
                while (!part.EndOfMessage);
                if (part.MessageType == WebSocketMessageType.Close)
                {
                    return;
                }
                message.Position = 0;
                Take(JsonNode.Parse(message)!);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or WebSocketException)
        {
            // The page or the test has ended; whoever still waits is told by the deadline.
        }
    }

    private void Take(JsonNode message)
    {
        if (message["id"] is { } id)
        {
            if (_asked.TryRemove(id.GetValue<int>(), out var answer))
            {
                answer.SetResult(message);
            }
            return;
        }
        if (message["method"]!.GetValue<string>() == "Page.loadEventFired")
        {
            _loaded?.TrySetResult();
            return;
        }
        var parameters = message["params"];
        var complaint = message["method"]!.GetValue<string>() switch
        {
            "Runtime.exceptionThrown" => parameters!["exceptionDetails"]!.ToJsonString(),
            "Runtime.consoleAPICalled" when parameters!["type"]!.GetValue<string>() is "error" or "assert" =>
                parameters["args"]!.ToJsonString(),
            // What the network answers is the page's to handle: it asks for what may not be there.
            "Log.entryAdded" when parameters!["entry"]!["level"]!.GetValue<string>() == "error"
                && parameters["entry"]!["source"]!.GetValue<string>() != "network" =>
                parameters["entry"]!["text"]!.GetValue<string>(),
            _ => null,
        };
        if (complaint is not null)
        {
            _complaints.Enqueue(complaint);
        }
    }
}
