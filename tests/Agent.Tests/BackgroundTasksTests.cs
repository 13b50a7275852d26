namespace Routing.Agent.Tests;

/// <summary>Whatever guards a member and ends, ends the process.</summary>
public sealed class BackgroundTasksTests
{
    private readonly TaskCompletionSource<int> _loop = new();
    private readonly TaskCompletionSource<bool> _naming = new();
    private readonly TaskCompletionSource _guard = new();
    private readonly TaskCompletionSource _watch = new();
    private readonly List<Exception?> _broke = [];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_guard_that_breaks_ends_the_process_whether_or_not_the_name_is_settled(bool isNamed)
    {
        var ending = Begin();
        if (isNamed)
        {
            _naming.SetResult(false);
        }

        _guard.SetException(new InvalidOperationException("planted"));

        Assert.Equal(1, await ending);
        Assert.Equal("planted", Assert.Single(_broke)?.GetBaseException().Message);
    }

    [Fact]
    public async Task A_watch_that_ends_without_a_word_ends_the_process()
    {
        var ending = Begin();
        _naming.SetResult(false);

        _watch.SetResult();

        Assert.Equal(1, await ending);
        Assert.Null(Assert.Single(_broke));
    }

    [Fact]
    public async Task A_look_for_the_name_that_breaks_ends_the_process()
    {
        var ending = Begin();

        _naming.SetException(new InvalidOperationException("planted"));

        Assert.Equal(1, await ending);
        Assert.Single(_broke);
    }

    [Fact]
    public async Task A_name_that_is_taken_ends_the_process_and_nothing_has_broken()
    {
        var ending = Begin();

        _naming.SetResult(true);

        Assert.Equal(1, await ending);
        Assert.Empty(_broke);
    }

    [Fact]
    public async Task The_loop_ends_the_process_with_its_own_code_or_exception()
    {
        var ending = Begin();
        _naming.SetResult(false);
        _loop.SetResult(7);
        Assert.Equal(7, await ending);

        var broken = BackgroundTasks.UntilOneEndsAsync(
            Task.FromException<int>(new InvalidOperationException("planted")), _naming.Task, [_guard.Task], _broke.Add);
        await Assert.ThrowsAsync<InvalidOperationException>(() => broken);
        Assert.Empty(_broke);
    }

    private Task<int> Begin() =>
        BackgroundTasks.UntilOneEndsAsync(_loop.Task, _naming.Task, [_guard.Task, _watch.Task], _broke.Add);
}
